import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { RunSizes } from "../losses/model-sizes.js";
import { LossSet, lossesSchema } from "../losses/loss-set.js";

/** A set of one loss with weight 1.
 * @throws TandemError INVALID_ARGUMENT for an unknown loss, wrong options, or a weight, which belongs to a run. */
export function singleLoss(
  loss: string,
  options: Readonly<Record<string, unknown>> = {},
  sizes?: RunSizes,
): LossSet {
  if ("weight" in options) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      "options.weight: a weight belongs to a run's list of losses; multiply the value instead",
      { field: "options.weight" },
    );
  }
  return new LossSet(lossesSchema.parse([{ ...options, name: loss }]), sizes);
}
