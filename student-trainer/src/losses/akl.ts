import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import { z } from "zod";
import { atomLaws, klFromStudent, klFromTeacher, type AtomLaws } from "./atoms.js";
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
    const { head, tail } = gaps(ops, options.dense ? inTeacherOrder(ops, laws) : laws, options.mu);
    const total = ops.add(ops.add(head, tail), ops.scalar(1e-20));
    return ops.add(
      ops.mul(ops.div(head, total), klFromTeacher(ops, laws)),
      ops.mul(ops.div(tail, total), klFromStudent(ops, laws)),
    );
  },
};

/** A top list is in this order already, with its bucket behind. */
function inTeacherOrder<T extends Tensor>(ops: TensorOps<T>, laws: AtomLaws<T>): AtomLaws<T> {
  const { values, indices } = ops.topK(laws.teacher, laws.teacher.shape[1] as number, 1);
  return { teacher: values, student: ops.takeAlongAxis(laws.student, indices, 1) };
}

/** Σ |p − q| over head and tail, [n] each, without a gradient. */
function gaps<T extends Tensor>(
  ops: TensorOps<T>,
  { teacher, student }: AtomLaws<T>,
  mu: number,
): { readonly head: T; readonly tail: T } {
  const p = ops.exp(teacher); // [n,A]
  const gap = ops.abs(ops.sub(p, ops.exp(ops.stopGradient(student))));
  const mass = ops.cumsum(p, 1);
  // Nothing lies before the first id, and behind it at least 1/V, far above rounding.
  const first = ops.less(ops.sub(mass, p), ops.scalar(1e-9));
  const inHead = ops.logicalOr(first, ops.logicalNot(ops.greater(mass, ops.scalar(mu))));
  const zero = ops.scalar(0);
  return {
    head: ops.reduceSum(ops.where(inHead, gap, zero), { axes: [1] }),
    tail: ops.reduceSum(ops.where(inHead, zero, gap), { axes: [1] }),
  };
}
