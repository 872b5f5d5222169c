import { invariant } from "@tandem/shared/errors/invariant.js";
import { z } from "zod";
import { atomLaws, klFromStudent, klFromTeacher } from "./atoms.js";
import { divergenceRequirement, wholeListOptions } from "./divergence-options.js";
import { keptShare, weightShare } from "./kept-share.js";
import type { LossDefinition, MinibatchPosition } from "./loss-definition.js";
import { signalPart } from "./signal-part.js";
import { teacherLogProbability, tokenLogProbability } from "./token-log-probability.js";

const options = wholeListOptions
  .extend({
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
    acceptance: z
      .enum(["rank", "ratio"])
      .default("rank")
      .describe(
        "rank: by its place in the teacher's order; ratio: every position counts min(1, p/q) of the token, the chance that speculative decoding accepts it",
      ),
    divergence: z
      .enum(["forward-kl", "reverse-kl"])
      .default("forward-kl")
      .describe("which divergence, with its options beside it"),
  })
  .refine(({ acceptance, proposal }) => acceptance === "rank" || proposal === "token", {
    path: ["acceptance"],
    message: "ratio is that of the token that stands there; set proposal: token",
  });

type SpeckdOptions = z.output<typeof options>;

/** A divergence at the positions where the student's proposal passes the teacher's check, 0 elsewhere; the mean is over the accepted
 * positions. The text stays what it is: the counterpart of writing it together (SKD).
 * Source: SpecKD (arXiv 2510.24021), abstract; acceptance by rank or by ratio and the mean over accepted positions are our reading. */
export const speckd: LossDefinition<SpeckdOptions> = {
  name: "speckd",
  summary: "a divergence, only where the teacher accepts the student's proposal",
  source: "SpecKD, arXiv 2510.24021",
  options,
  requires: (chosen) => {
    const requirement = divergenceRequirement(chosen);
    if (chosen.proposal === "token") {
      const lse = chosen.acceptance === "ratio" && { lse: true };
      return {
        ...requirement,
        signal: { ...requirement.signal, token: true, ...lse },
        ...(chosen.acceptance === "rank" && { ranks: chosen.rank }),
      };
    }
    const topK = Math.max(chosen.rank, requirement.signal?.topK ?? 0);
    return { ...requirement, signal: { ...requirement.signal, topK }, studentTopK: 1 };
  },
  needsProbe: ({ acceptance }) => acceptance === "ratio",
  probe: tokenLogProbability,
  columns: {
    names: ["accepted"],
    compute: (positions, chosen) => [
      chosen.acceptance === "ratio"
        ? weightShare(positions, (position) =>
            Math.min(1, Math.exp(teacherLogProbability(position) - position.probe)),
          )
        : keptShare(positions, (position) => isAccepted(position, chosen)),
    ],
  },
  measures: {
    names: ["accepted"],
    compute: (ops, { columns }) => [
      ops.cast(ops.greater(columns["accepted"]!, ops.scalar(0)), "f32"),
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
