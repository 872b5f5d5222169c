import { z } from "zod";
import { atomLaws, klFromTeacher } from "./atoms.js";
import {
  divergenceOptions,
  divergenceRequirement,
  type DivergenceOptions,
} from "./divergence-options.js";
import type { LossDefinition } from "./loss-definition.js";
import { teacherToMixture } from "./mixture.js";

export interface SkewForwardKlOptions extends DivergenceOptions {
  readonly alpha: number;
}

/** KL(p ‖ αp + (1−α)q), p teacher, q student; α = 0 is forward KL. The gradient flows through the mixture.
 * Source: Ko et al. 2024 (DistiLLM, arXiv 2402.03898): α = 0.1. Its release leaves out the constant −H(p). */
export const skewForwardKl: LossDefinition<SkewForwardKlOptions> = {
  name: "skew-forward-kl",
  summary: "KL(p ‖ αp + (1−α)q)",
  source: "DistiLLM, arXiv 2402.03898",
  options: divergenceOptions.extend({
    alpha: z.number().min(0).lt(1).default(0.1).describe("weight of the teacher in the mixture"),
  }),
  requires: divergenceRequirement,
  perToken: (ops, inputs, options) => {
    const laws = atomLaws(ops, inputs, options);
    if (options.alpha === 0) return klFromTeacher(ops, laws);
    return teacherToMixture(ops, laws, options.alpha);
  },
};
