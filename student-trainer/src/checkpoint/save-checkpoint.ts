import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { serialize } from "node:v8";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { writeFileAtomic } from "@tandem/shared/checkpoint/write-file-atomic.js";
import { writeSafetensors } from "@tandem/shared/checkpoint/write-safetensors.js";
import type { Moments } from "../optim/adamw.js";
import type { RolloutBatch } from "../rollout/rollout.js";
import { checkpointName, listCheckpoints } from "./checkpoint-names.js";
import { exportModel } from "./export-model.js";
import type { RunState } from "./run-state.js";
import { modelParameters, type NamedValues, type StudentModel } from "./student-model.js";

export interface CheckpointContent {
  readonly model: StudentModel;
  /** What the losses own; left out: nothing. */
  readonly lossParameters?: readonly NamedValues[];
  /** Of the model's parameters and the losses'. */
  readonly moments: ReadonlyMap<string, Moments>;
  readonly state: RunState;
  /** The batch in use, if steps are left in it, and those written ahead. */
  readonly batches: readonly RolloutBatch[];
}

/** Present only if losses own parameters. */
export const LOSS_PARAMETERS_FILE = "losses.safetensors";

export interface SaveOptions extends CheckpointContent {
  /** Directory of all checkpoints of the run. */
  readonly dir: string;
  /** How many of the newest stay. */
  readonly keep: number;
  readonly tokenizerDir?: string;
}

/** Writes `DIR/step-000123`, which appears whole or not at all: everything goes into a directory beside it, is synced, and renamed.
 * It is a Hugging Face directory with `optimizer.safetensors`, `rollouts.bin`, `state.json` and, if losses own parameters,
 * `losses.safetensors` besides. Then removes the oldest.
 * @returns its path. @throws TandemError RESOURCE_EXHAUSTED when the disk is full; what was there is intact. */
export async function saveCheckpoint(options: SaveOptions): Promise<string> {
  const { dir, state, keep } = options;
  const path = join(dir, checkpointName(state.step));
  const temporary = join(dir, `.writing-${process.pid}-${checkpointName(state.step)}`);
  await rm(temporary, { recursive: true, force: true });
  try {
    await mkdir(temporary, { recursive: true });
    await writeContent(temporary, options);
    await syncDirectory(temporary);
    // A run resumed from an older checkpoint reaches this step again, with the same content.
    await rm(path, { recursive: true, force: true });
    await rename(temporary, path);
    await syncDirectory(dir);
  } catch (cause) {
    await rm(temporary, { recursive: true, force: true });
    throw diskFull(cause, path);
  }
  for (const old of (await listCheckpoints(dir)).slice(0, -keep)) {
    await rm(join(dir, old.name), { recursive: true, force: true });
  }
  return path;
}

async function writeContent(
  dir: string,
  { model, lossParameters = [], moments, state, batches, tokenizerDir }: SaveOptions,
): Promise<void> {
  await exportModel({ model, outDir: dir, ...(tokenizerDir !== undefined && { tokenizerDir }) });
  const momentsOf = ({ name, shape }: Pick<NamedValues, "name" | "shape">) => {
    const own = moments.get(name)!;
    return [
      { name: `${name}.first`, shape, data: own.first },
      { name: `${name}.second`, shape, data: own.second },
    ];
  };
  const tensors = modelParameters(model).flatMap(momentsOf);
  await writeSafetensors(join(dir, "optimizer.safetensors"), tensors);
  if (lossParameters.length > 0) {
    const owned = lossParameters.flatMap((parameter) => [
      { name: parameter.name, shape: parameter.shape, data: parameter.values },
      ...momentsOf(parameter),
    ]);
    await writeSafetensors(join(dir, LOSS_PARAMETERS_FILE), owned);
  }
  await writeFileAtomic(join(dir, "rollouts.bin"), [serialize(batches)]);
  await writeFileAtomic(join(dir, "state.json"), [
    Buffer.from(`${JSON.stringify(state, null, 2)}\n`),
  ]);
}

function diskFull(cause: unknown, path: string): unknown {
  const code = (cause as NodeJS.ErrnoException).code;
  if (code !== "ENOSPC" && code !== "EDQUOT" && code !== "RESOURCE_EXHAUSTED") return cause;
  return new TandemError(
    "RESOURCE_EXHAUSTED",
    `no space left for the checkpoint ${path}; older checkpoints are intact: free some space and run again with --resume`,
    { cause },
  );
}

async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(dir, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Removes what a killed process left half-written. */
export async function removeUnfinished(dir: string): Promise<void> {
  const names = await readdir(dir).catch(() => []);
  for (const name of names.filter((entry) => entry.startsWith(".writing-"))) {
    await rm(join(dir, name), { recursive: true, force: true });
  }
}
