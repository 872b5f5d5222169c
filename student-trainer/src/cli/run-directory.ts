import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { writeFileAtomic } from "@tandem/shared/checkpoint/write-file-atomic.js";
import { printConfig } from "@tandem/shared/config/print-config.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";

import type { RunConfig } from "../config/run-config.js";
import { assertSameCourse } from "./assert-same-course.js";

/** Makes the run directory and writes `config.resolved.yaml`; before that, nothing of a run that is there is touched.
 * @throws TandemError ALREADY_EXISTS when there is a run in it that is not to be resumed, NOT_FOUND when there is none to resume,
 * FAILED_PRECONDITION when that one has another configuration. */
export async function prepareRunDirectory(config: RunConfig, resume: boolean): Promise<string> {
  const dir = config.output.dir;
  const begun = await stat(join(dir, "metrics.jsonl")).then(
    (stats) => stats.size > 0,
    () => false,
  );
  if (begun && !resume) {
    throw new TandemError(
      "ALREADY_EXISTS",
      `${dir} holds a run already; go on with --resume, or give another output.dir`,
      { field: "output.dir" },
    );
  }
  if (resume) await assertSameCourse(config, dir);
  await mkdir(dir, { recursive: true });
  await writeFileAtomic(join(dir, "config.resolved.yaml"), [Buffer.from(printConfig(config))]);
  return dir;
}

/** Keeps the lines of `rollouts.jsonl` that belong to batches before `batches`: what a resumed run writes again is not doubled. */
export async function cutSamples(path: string, batches: number): Promise<void> {
  const text = await readFile(path, "utf8").catch(() => "");
  const kept = text.split("\n").filter((line) => line !== "" && batchOf(line) < batches);
  await writeFile(path, kept.map((line) => `${line}\n`).join(""));
}

function batchOf(line: string): number {
  try {
    const { batch } = JSON.parse(line) as { batch?: unknown };
    return typeof batch === "number" ? batch : Infinity;
  } catch {
    return Infinity;
  }
}
