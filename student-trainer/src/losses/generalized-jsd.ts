import { z } from "zod";
import { atomLaws, klFromStudent, klFromTeacher } from "./atoms.js";
import {
  divergenceOptions,
  divergenceRequirement,
  type DivergenceOptions,
} from "./divergence-options.js";
import type { LossDefinition } from "./loss-definition.js";
import { bothToMixture } from "./mixture.js";

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
    return bothToMixture(ops, laws, options.beta);
  },
};
