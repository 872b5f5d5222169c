import { invariant } from "@tandem/shared/errors/invariant.js";
import { z } from "zod";
import { atomLaws, klFromStudent, klFromTeacher } from "./atoms.js";
import { divergenceOptions, divergenceRequirement } from "./divergence-options.js";
import { keptShare } from "./kept-share.js";
import type { LossDefinition, MinibatchPosition } from "./loss-definition.js";
import { signalPart } from "./signal-part.js";

const options = divergenceOptions.extend({
  rank: z
    .int()
    .min(1)
    .default(25)
    .describe("a proposal is accepted when fewer than so many ids have a larger teacher logit"),
  proposal: z
    .enum(["best", "token"])
    .default("best")
    .describe(
      "best: the student's likeliest id when the position was written; token: the token that stands there",
    ),
  divergence: z
    .enum(["forward-kl", "reverse-kl"])
    .default("forward-kl")
    .describe("which divergence, with its options beside it"),
});

type SpeckdOptions = z.output<typeof options>;

/** A divergence at the positions where the student's proposal passes the teacher's check, 0 elsewhere; the mean is over the accepted
 * positions. The text stays what it is: the counterpart of writing it together (SKD).
 * Source: SpecKD (arXiv 2510.24021), abstract; acceptance by rank and the mean over accepted positions are our reading. */
export const speckd: LossDefinition<SpeckdOptions> = {
  name: "speckd",
  summary: "a divergence, only where the teacher accepts the student's proposal",
  source: "SpecKD, arXiv 2510.24021",
  options,
  requires: (chosen) => {
    const requirement = divergenceRequirement(chosen);
    if (chosen.proposal === "token") {
      return { ...requirement, signal: { ...requirement.signal, token: true } };
    }
    const topK = Math.max(chosen.rank, requirement.signal?.topK ?? 0);
    return { ...requirement, signal: { ...requirement.signal, topK }, studentTopK: 1 };
  },
  columns: {
    names: ["accepted"],
    compute: (positions, chosen) => [
      keptShare(positions, (position) => isAccepted(position, chosen)),
    ],
  },
  perToken: (ops, inputs, chosen) => {
    const { accepted } = inputs.columns;
    invariant(accepted !== undefined, "the loss is given its column");
    const laws = atomLaws(ops, inputs, chosen);
    const divergence = chosen.divergence === "forward-kl" ? klFromTeacher : klFromStudent;
    return ops.mul(accepted, divergence(ops, laws));
  },
};

function isAccepted(
  { signal, row, atIds }: MinibatchPosition,
  { proposal, rank }: SpeckdOptions,
): boolean {
  if (proposal === "token") return signalPart(signal?.rank, "the token's rank")[row]! < rank;
  const ids = signalPart(atIds, "the student's ids");
  const best = ids[signalPart(signal?.atOffsets, "logits at the student's ids")[row]!]!;
  const top = signalPart(signal?.topIds, "a top list");
  const k = signal!.topK;
  // By id, not by logit: on the wire a logit may be rounded.
  return top.subarray(row * k, row * k + Math.min(rank, k)).includes(best);
}
