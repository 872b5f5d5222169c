import type { RunSizes } from "../losses/model-sizes.js";
import type { SignalRequirement } from "../losses/signal-requirement.js";
import { singleLoss } from "./single-loss.js";

/** What a loss asks the teacher for, at a point of a run (0 … 1); `sizes` of the models for losses on hidden states.
 * @throws TandemError INVALID_ARGUMENT for an unknown loss or wrong options. */
export function lossRequirement(
  loss: string,
  options: Readonly<Record<string, unknown>> = {},
  progress = 0,
  sizes?: RunSizes,
): SignalRequirement {
  return singleLoss(loss, options, sizes).requirement(progress);
}
