import { join } from "node:path";

import { listCheckpoints } from "../checkpoint/checkpoint-names.js";
import type { RunConfig } from "../config/run-config.js";

/** The newest checkpoint of a run, or the student it would start from. */
export async function newestModel({ output, student }: RunConfig): Promise<string> {
  const dir = join(output.dir, "checkpoints");
  const newest = (await listCheckpoints(dir)).at(-1);
  return newest === undefined ? student.model : join(dir, newest.name);
}
