import { join } from "node:path";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { listCheckpoints } from "../checkpoint/checkpoint-names.js";
import { loadLatestCheckpoint } from "../checkpoint/load-checkpoint.js";
import type { CheckpointContent } from "../checkpoint/save-checkpoint.js";
import { modelParameters, type StudentModel } from "../checkpoint/student-model.js";
import type { RolloutSource } from "./rollout-source.js";

export interface RestoreOptions {
  readonly model: StudentModel;
  readonly source: RolloutSource;
  readonly runDir: string;
  readonly configDigest: string;
}

/** Puts model and source where the newest checkpoint has them; the optimizer follows. */
export async function restoreRun({
  model,
  source,
  runDir,
  configDigest,
}: RestoreOptions): Promise<CheckpointContent> {
  const saved = await loadLatestCheckpoint(join(runDir, "checkpoints"));
  if (saved.state.configDigest !== configDigest) {
    throw new TandemError(
      "FAILED_PRECONDITION",
      `the checkpoint in ${runDir} was made with another configuration (${saved.state.configDigest}, now ${configDigest}); resume with config.resolved.yaml of the run or start a new one`,
    );
  }
  for (const { name, values } of modelParameters(model)) {
    values.set(modelParameters(saved.model).find((parameter) => parameter.name === name)!.values);
  }
  source.restore(saved.state.source);
  return saved;
}

/** A new run does not write over another. */
export async function assertFresh(runDir: string): Promise<void> {
  if ((await listCheckpoints(join(runDir, "checkpoints"))).length === 0) return;
  throw new TandemError(
    "ALREADY_EXISTS",
    `${runDir} holds the checkpoints of a run; resume it or choose another directory`,
    { field: "runDir" },
  );
}
