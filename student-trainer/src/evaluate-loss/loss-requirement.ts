import type { SignalRequirement } from "../losses/loss-set.js";
import { singleLoss } from "./single-loss.js";

/** What a loss asks the teacher for, at a point of a run (0 … 1).
 * @throws TandemError INVALID_ARGUMENT for an unknown loss or wrong options. */
export function lossRequirement(
  loss: string,
  options: Readonly<Record<string, unknown>> = {},
  progress = 0,
): SignalRequirement {
  return singleLoss(loss, options).requirement(progress);
}
