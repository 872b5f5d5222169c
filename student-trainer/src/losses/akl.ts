import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import { z } from "zod";
import { atomLaws, klFromStudent, klFromTeacher, total } from "./atoms.js";
import {
  divergenceOptions,
  divergenceRequirement,
  type DivergenceOptions,
} from "./divergence-options.js";
import type { LossDefinition } from "./loss-definition.js";

export interface AklOptions extends DivergenceOptions {
  readonly mu: number;
}

/** w·KL(p‖q) + (1−w)·KL(q‖p), w = gap of the head / gap of head and tail, gap = Σ |p − q|, no gradient through w.
 * Head: in the teacher's order, the largest prefix with mass ≤ μ, the first id always in it.
 * Source: Wu et al. 2024 (AKL, arXiv 2404.02657) and its release. With a top list head and tail are those of the list and its
 * bucket: an approximation, no bound. */
export const akl: LossDefinition<AklOptions> = {
  name: "akl",
  summary: "forward and reverse KL, mixed by where the laws differ: head or tail",
  source: "AKL, arXiv 2404.02657",
  options: divergenceOptions.extend({
    mu: z.number().min(0).max(1).default(0.5).describe("teacher mass of the head"),
  }),
  requires: divergenceRequirement,
  perToken: (ops, inputs, options) => {
    const laws = atomLaws(ops, inputs, options);
    const p = ops.exp(laws.teacher); // [n,A]
    const gap = ops.abs(ops.sub(p, ops.stopGradient(ops.exp(laws.student))));
    // A top list is in the teacher's order already, with its bucket behind.
    const head = options.dense ? ops.headSum(p, gap, options.mu) : listedHead(ops, p, gap, options);
    const share = ops.div(head, ops.add(total(ops, gap), ops.scalar(1e-20)));
    const rest = ops.sub(ops.scalar(1), share);
    return ops.add(
      ops.mul(share, klFromTeacher(ops, laws)),
      ops.mul(rest, klFromStudent(ops, laws)),
    );
  },
};

/** Σ of x over the head of a list in falling order, f32 [n]. */
function listedHead<T extends Tensor>(ops: TensorOps<T>, p: T, x: T, { mu }: AklOptions): T {
  const mass = ops.cumsum(p, 1);
  // Nothing lies before the first id, and behind it at least 1/V, far above rounding.
  const first = ops.less(ops.sub(mass, p), ops.scalar(1e-9));
  const inHead = ops.logicalOr(first, ops.logicalNot(ops.greater(mass, ops.scalar(mu))));
  return total(ops, ops.where(inHead, x, ops.scalar(0)));
}
