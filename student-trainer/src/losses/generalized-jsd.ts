import { z } from "zod";
import { atomLaws, finite, klFromStudent, klFromTeacher } from "./atoms.js";
import {
  divergenceOptions,
  divergenceRequirement,
  type DivergenceOptions,
} from "./divergence-options.js";
import { logMixture } from "./log-mixture.js";
import type { LossDefinition } from "./loss-definition.js";

export interface JsdOptions extends DivergenceOptions {
  readonly beta: number;
}

/** JSD(β)(p‖q) = β·KL(p‖m) + (1−β)·KL(q‖m), m = β·p + (1−β)·q; p teacher, q student, both at temperature τ.
 * Source: Agarwal et al. 2024 (GKD, arXiv 2306.13649) eq. 1. As in TRL, the ends are the full divergences: β = 0 is KL(p‖q), β = 1 is
 * KL(q‖p), although JSD(β) itself vanishes there; so the loss jumps at the ends, and near them it is about β·KL(p‖q). */
export const generalizedJsd: LossDefinition<JsdOptions> = {
  name: "generalized-jsd",
  summary: "β·KL(p‖m) + (1−β)·KL(q‖m), m = βp + (1−β)q",
  source: "GKD, arXiv 2306.13649",
  options: divergenceOptions.extend({
    beta: z.number().min(0).max(1).default(0.5).describe("weight of the teacher in the mixture"),
  }),
  requires: divergenceRequirement,
  perToken: (ops, inputs, options) => {
    const laws = atomLaws(ops, inputs, options);
    if (options.beta === 0) return klFromTeacher(ops, laws);
    if (options.beta === 1) return klFromStudent(ops, laws);
    const mixed = { ...laws, teacher: finite(ops, laws.teacher) };
    const mixture = logMixture(ops, mixed, options.beta); // [n,A]
    const fromTeacher = ops.mul(ops.exp(laws.teacher), ops.sub(mixed.teacher, mixture));
    const fromStudent = ops.mul(ops.exp(laws.student), ops.sub(laws.student, mixture));
    const weighted = ops.add(
      ops.mul(fromTeacher, ops.scalar(options.beta)),
      ops.mul(fromStudent, ops.scalar(1 - options.beta)),
    );
    return ops.reduceSum(weighted, { axes: [1] });
  },
};
