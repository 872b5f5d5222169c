import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { LossSet } from "../losses/loss-set.js";
import type { SeenPositions } from "../losses/loss-set-inputs.js";
import { pairsOf } from "../losses/preference-pairs.js";

/** A loss on pairs is 0 without any, which is right for a minibatch and of no use to who asks for its value.
 * @throws TandemError FAILED_PRECONDITION naming what to give. */
export function assertPaired(losses: LossSet, { positions }: SeenPositions, loss: string): void {
  const comparesPairs = losses.texts.some(({ text }) => text === "pairs");
  if (!comparesPairs || positions.length === 0 || pairsOf(positions).length > 0) return;
  throw new TandemError(
    "FAILED_PRECONDITION",
    `${loss} compares two responses to one prompt, and none of the positions are such a pair; give sequences, such as [{length: 3, row: 0}, {length: 5, row: 0}], and byStudent: 0 at the positions of the preferred one, 1 at those of the other`,
    { field: "sequences" },
  );
}
