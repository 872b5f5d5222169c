import { TandemError } from "@tandem/shared/errors/tandem-error.js";

import { tauCount, type TeacherRequirement } from "../losses/loss-set.js";
import type { RolloutConfig } from "../rollout/rollout-config.js";
import type { TeacherDescription } from "./teacher-description.js";

export interface PlannedUse {
  /** Each of them may be asked. */
  readonly requirements: readonly TeacherRequirement[];
  readonly rollout: Pick<RolloutConfig, "kind" | "blockLength" | "concurrency">;
  /** Tokens of the longest sequence, response included. */
  readonly longestRow: number;
}

/** Compares what a run will ask for with what the teacher allows, before the first step.
 * @throws TandemError INVALID_ARGUMENT naming the option and the limit. */
export function checkTeacherLimits(
  { limits, contextLength, vocabSize, layers, model }: TeacherDescription,
  { requirements, rollout, longestRow }: PlannedUse,
): void {
  const within = (value: number, limit: number | undefined, field: string, what: string): void => {
    if (limit === undefined || limit === 0 || value <= limit) return;
    throw new TandemError(
      "INVALID_ARGUMENT",
      `${field}: the run needs ${value} ${what}, teacher "${model}" allows ${limit}`,
      { field, limit },
    );
  };
  for (const requirement of requirements) {
    const { spec, studentTopK } = requirement;
    within(spec.topK, vocabSize, "losses.topK", "ids per position (the vocabulary's size)");
    within(spec.topK, limits?.maxTopK, "losses.topK", "ids per position");
    within(tauCount(requirement), limits?.maxTaus, "losses.temperature", "temperatures");
    within(spec.draws, limits?.maxDraws, "losses.draws", "draws per position");
    within(studentTopK, limits?.maxAtIds, "losses", "student ids per position");
    within(Math.max(0, ...spec.hiddenLayers), layers, "losses", "as hidden layer");
  }
  within(longestRow, contextLength, "rollout.maxResponse", "positions per sequence");
  if (rollout.kind !== "skd") return;
  within(rollout.blockLength, limits?.maxDraftTokens, "rollout.blockLength", "drafts per block");
  within(rollout.concurrency, limits?.maxSequences, "rollout.concurrency", "open sequences");
}
