import { unreachable } from "@tandem/shared/errors/invariant.js";
import { z } from "zod";

/** How the positions of a minibatch become one number. */
export const reductionSchema = z
  .enum(["token", "sequence"])
  .describe(
    "token: mean over all positions of the minibatch; sequence: mean over sequences of each sequence's mean (as SKD's release)",
  );

export type Reduction = z.output<typeof reductionSchema>;

/** One sequence of a minibatch: a mask or weight ≥ 0 for each of its positions. */
export type PositionWeights = ArrayLike<number>;

/** The one place where mask, weights and means are applied: the loss of a minibatch is Σ coefficient·perToken.
 * `token`: coefficient = w / Σ w over the whole minibatch, however it is cut for accumulation. `sequence`: w / Σ w of its own
 * sequence / number of sequences that have a position. All zero when no position counts. */
export function reductionCoefficients(
  sequences: readonly PositionWeights[],
  reduction: Reduction,
): readonly Float64Array[] {
  const sums = sequences.map((weights) => sum(weights));
  const total = sum(sums);
  const counted = sums.filter((value) => value > 0).length;
  const divisor = (index: number): number => {
    switch (reduction) {
      case "token":
        return total;
      case "sequence":
        return (sums[index] as number) * counted;
      default:
        return unreachable(reduction);
    }
  };
  return sequences.map((weights, index) =>
    Float64Array.from({ length: weights.length }, (_, at) => {
      const weight = weights[at] as number;
      return weight === 0 ? 0 : weight / divisor(index);
    }),
  );
}

function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let index = 0; index < values.length; index++) total += values[index] as number;
  return total;
}
