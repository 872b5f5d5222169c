import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { CheckpointWeights } from "@tandem/shared/checkpoint/checkpoint-weights.js";
import type { WeightsIdentity } from "../engine-messages.js";

/** The digest of a checkpoint's weights. Reading them all takes a while for large models: a restarted engine takes over what the one before it found
 * when no file has changed since.
 * @throws TandemError as `CheckpointWeights.open`. */
export async function identifyWeights(
  dir: string,
  known: WeightsIdentity | undefined,
): Promise<WeightsIdentity> {
  const stamp = await stampOf(dir);
  if (known?.stamp === stamp) return known;
  const weights = await CheckpointWeights.open(dir);
  return { stamp, digest: `sha256:${await weights.digest()}` };
}

/** Links of a hub cache are followed. */
async function stampOf(dir: string): Promise<string> {
  const names = (await readdir(dir)).filter((name) => name.endsWith(".safetensors")).sort();
  const lines = names.map(async (name) => {
    const { size, mtimeMs } = await stat(join(dir, name));
    return `${name} ${size} ${mtimeMs}`;
  });
  return (await Promise.all(lines)).join("\n");
}
