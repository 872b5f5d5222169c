import { invariant } from "@tandem/shared/errors/invariant.js";
import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import { z } from "zod";
import type { LossDefinition, TopTensors } from "./loss-definition.js";

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
  requires: ({ dense, topK }) => ({ signal: dense ? { dense: "f32" } : { topK } }),
  perToken: (ops, { logits, teacher }, { dense }) => {
    const q = ops.softmax(logits, 1); // [n,V]
    const size = q.shape[1] as number;
    if (dense) {
      invariant(teacher.dense !== undefined, "a dense loss is given dense teacher logits");
      const p = ops.topK(ops.softmax(teacher.dense, 1), size, 1).values;
      return distance(ops, ops.topK(q, size, 1).values, p);
    }
    const { top } = teacher;
    invariant(top !== undefined, "a sorted distance is given the teacher's top list");
    const p = listed(ops, top); // [n,k]
    const largest = ops.topK(q, p.shape[1] as number, 1).values; // [n,k]
    const left = ops.sub(ops.scalar(1), ops.reduceSum(largest, { axes: [1] })); // [n]
    return ops.add(distance(ops, largest, p), ops.abs(ops.sub(left, ops.exp(top.logTail))));
  },
};

function listed<T extends Tensor>(ops: TensorOps<T>, top: TopTensors<T>): T {
  return ops.exp(ops.sub(top.logits, ops.unsqueeze(top.lse, 1)));
}

function distance<T extends Tensor>(ops: TensorOps<T>, a: T, b: T): T {
  return ops.reduceSum(ops.abs(ops.sub(a, b)), { axes: [1] });
}
