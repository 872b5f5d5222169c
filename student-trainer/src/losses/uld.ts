import { invariant } from "@tandem/shared/errors/invariant.js";
import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import { z } from "zod";
import type { LossDefinition } from "./loss-definition.js";
import { topLogProbs } from "./top-log-probs.js";

const options = z.strictObject({
  topK: z
    .int()
    .min(1)
    .default(64)
    .describe("size of the teacher's sorted list; what is left is one bucket on both sides"),
  dense: z.boolean().default(false).describe("sort all V teacher logits: small vocabularies only"),
});

/** Σ_i |q_(i) − p_(i)|, both laws sorted by falling probability: which id has a probability does not matter.
 * Source: Boizard et al. 2024 (ULD, arXiv 2402.12030); the paper adds λ = 1.5 times it to cross-entropy. With a top list: the k largest of
 * each side and what is left of each, a lower bound of the dense value. */
export const uld: LossDefinition<z.output<typeof options>> = {
  name: "uld",
  summary: "L1 distance of the sorted laws",
  source: "ULD, arXiv 2402.12030",
  options,
  requires: ({ dense, topK }) => ({
    signal: dense ? { dense: "f32" } : { topK, logProbs: true, omitTopIds: true },
  }),
  perToken: (ops, { logits, teacher }, { dense, topK }) => {
    if (dense) {
      invariant(teacher.dense !== undefined, "a dense loss is given dense teacher logits");
      const sorted = (x: typeof logits) => ops.topK(ops.softmax(x, 1), x.shape[1] as number, 1);
      return distance(ops, sorted(logits).values, sorted(teacher.dense).values);
    }
    const logP = topLogProbs(ops, teacher).values;
    // Another loss may have asked for a longer list.
    const k = Math.min(topK, logP.shape[1] as number);
    const p = ops.slice(ops.exp(logP), 1, 0, k); // [n,k]
    const largest = ops.topK(logits, k, 1).values; // [n,k]
    const q = ops.exp(ops.sub(largest, ops.unsqueeze(ops.logSumExp(logits, 1), 1)));
    const left = (law: typeof p) => ops.sub(ops.scalar(1), ops.reduceSum(law, { axes: [1] })); // [n]
    return ops.add(distance(ops, q, p), ops.abs(ops.sub(left(q), left(p))));
  },
};

function distance<T extends Tensor>(ops: TensorOps<T>, a: T, b: T): T {
  return ops.reduceSum(ops.abs(ops.sub(a, b)), { axes: [1] });
}
