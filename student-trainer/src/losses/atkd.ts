import { invariant } from "@tandem/shared/errors/invariant.js";
import { z } from "zod";
import { klFromStudent, klFromTeacher } from "./atoms.js";
import { keptShare } from "./kept-share.js";
import type { LossDefinition, MinibatchPosition } from "./loss-definition.js";
import { lowerMedian } from "./lower-median.js";
import { signalPart } from "./signal-part.js";
import { splitAtTarget } from "./target-split.js";

const options = z.strictObject({
  topK: z.int().min(1).default(64).describe("size of the teacher's top list"),
  dense: z
    .boolean()
    .default(false)
    .describe("use all V teacher logits instead of a top list: small vocabularies only"),
  alpha: z.number().min(0).max(1).default(0.2).describe("weight of the easy half"),
  direction: z
    .enum(["forward", "reverse"])
    .default("forward")
    .describe("of the divergences; the halves are always the teacher's"),
});

/** α·mean over easy positions of DKD + (1−α)·mean over hard positions of (TKD + DKD). TKD: KL of the laws of {token, anything else};
 * DKD: KL of the laws of the other tokens. Hard: u = 1 − p(token) is at or above its lower median in the minibatch. An empty half adds 0.
 * Source: Zhong et al. 2024 (ATKD, arXiv 2402.11890) and its release; temperature 1. */
export const atkd: LossDefinition<z.output<typeof options>> = {
  name: "atkd",
  summary: "target and other classes apart, easy and hard tokens weighted apart",
  source: "ATKD, arXiv 2402.11890",
  options,
  requires: ({ dense, topK }) => ({
    signal: { ...(dense ? { dense: "f32" } : { topK }), token: true, lse: true },
  }),
  columns: {
    names: ["easy", "hard"],
    compute: (positions, { alpha }) => {
      const uncertainty = positions.map(teacherUncertainty);
      const median = lowerMedian(uncertainty);
      const isHard = new Map(
        positions.map((position, at) => [position, uncertainty[at]! >= median]),
      );
      const hard = keptShare(positions, (position) => isHard.get(position)!);
      const easy = keptShare(positions, (position) => !isHard.get(position)!);
      return [easy.map((share) => alpha * share), hard.map((share) => (1 - alpha) * share)];
    },
  },
  perToken: (ops, inputs, { dense, direction }) => {
    const { easy, hard } = inputs.columns;
    invariant(easy !== undefined && hard !== undefined, "the loss is given its columns");
    const split = splitAtTarget(ops, inputs, dense);
    const divergence = direction === "forward" ? klFromTeacher : klFromStudent;
    const target = divergence(ops, split.binary); // [n]
    const other = ops.where(split.certain, ops.scalar(0), divergence(ops, split.others));
    return ops.add(ops.mul(ops.add(easy, hard), other), ops.mul(hard, target));
  },
};

/** u = 1 − p(token). */
function teacherUncertainty({ signal, row }: MinibatchPosition): number {
  const logits = signalPart(signal?.tokenLogit, "the teacher's logit of the token");
  const lse = signalPart(signal?.lse, "lse");
  return -Math.expm1(logits[row]! - lse[row]!);
}
