import { TandemError } from "@tandem/shared/errors/tandem-error.js";

import type { RunConfig } from "./run-config.js";

/** What single kinds of rollouts need besides.
 * @throws TandemError INVALID_ARGUMENT naming the option. */
export function checkRollout({ rollout, data, training }: RunConfig): void {
  const { kind, rows, adaptive, samplesPerPrompt } = rollout;
  if (kind === "pairs" && rows % (2 * samplesPerPrompt) !== 0) {
    throw invalid(
      "rollout.rows",
      `rollout.rows ${rows} does not hold whole pairs of ${samplesPerPrompt} samples; give a multiple of ${2 * samplesPerPrompt}`,
    );
  }
  if (kind !== "adaptive") return;
  if (data.evaluation === undefined || training.evaluateEvery === null) {
    throw invalid(
      data.evaluation === undefined ? "data.evaluation" : "training.evaluateEvery",
      "rollout.kind adaptive follows the loss on held-out answers; give data.evaluation and training.evaluateEvery",
    );
  }
  if (adaptive.capacity < rows) {
    throw invalid(
      "rollout.adaptive.capacity",
      `a replay of ${adaptive.capacity} texts cannot fill a batch of ${rows}; give at least rollout.rows`,
    );
  }
}

function invalid(field: string, message: string): TandemError {
  return new TandemError("INVALID_ARGUMENT", message, { field });
}
