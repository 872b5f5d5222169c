import { TandemError } from "@tandem/shared/errors/tandem-error.js";

import type { LossSet } from "../losses/loss-set.js";
import { scheduleMaximum } from "../losses/schedule.js";
import { writingKinds, type RolloutConfig } from "../rollout/rollout-config.js";

/** Refuses lists and ranks beyond the vocabulary. A sampler's topK may be as large as it likes: it then cuts nothing off, as elsewhere.
 * @throws TandemError INVALID_ARGUMENT naming the option. */
export function checkVocabulary(
  rollout: Pick<RolloutConfig, "kind" | "lambda" | "student" | "otherwise" | "acceptance">,
  losses: LossSet,
  vocabulary: number,
): void {
  losses.assertFits(vocabulary);
  if (!writingKinds(rollout).includes("skd")) return;
  const { acceptance } = rollout;
  if ("rank" in acceptance) assertRank("rank", scheduleMaximum(acceptance.rank), vocabulary);
  if ("filtered" in acceptance) {
    assertRank("filtered", scheduleMaximum(acceptance.filtered), vocabulary);
  }
}

function assertRank(rule: string, rank: number, vocabulary: number): void {
  if (rank <= vocabulary) return;
  const field = `rollout.acceptance.${rule}`;
  throw new TandemError(
    "INVALID_ARGUMENT",
    `${field} ${rank} exceeds the vocabulary of ${vocabulary} ids, all of which it would accept; set it to at most ${vocabulary}`,
    { field, limit: vocabulary },
  );
}
