import { z } from "zod";
import { atomLaws, klFromStudent } from "./atoms.js";
import {
  divergenceOptions,
  divergenceRequirement,
  type DivergenceOptions,
} from "./divergence-options.js";
import type { LossDefinition } from "./loss-definition.js";
import { studentToMixture } from "./mixture.js";

export interface SkewReverseKlOptions extends DivergenceOptions {
  readonly alpha: number;
  readonly detachMixture: boolean;
}

/** KL(q ‖ (1−α)p + αq), p teacher, q student; α = 0 is reverse KL.
 * Source: Ko et al. 2024 (DistiLLM, arXiv 2402.03898): α = 0.1, gradient through q and the mixture. Ko et al. 2025 (DistiLLM-2,
 * 2503.07067) as released takes the q in the mixture as a constant: `detachMixture`. */
export const skewReverseKl: LossDefinition<SkewReverseKlOptions> = {
  name: "skew-reverse-kl",
  summary: "KL(q ‖ (1−α)p + αq)",
  source: "DistiLLM, arXiv 2402.03898; DistiLLM-2, arXiv 2503.07067",
  options: divergenceOptions.extend({
    alpha: z.number().min(0).lt(1).default(0.1).describe("weight of the student in the mixture"),
    detachMixture: z
      .boolean()
      .default(false)
      .describe("no gradient through the student inside the mixture, as DistiLLM-2's release"),
  }),
  requires: divergenceRequirement,
  perToken: (ops, inputs, options) => {
    const laws = atomLaws(ops, inputs, options);
    if (options.alpha === 0) return klFromStudent(ops, laws);
    const { alpha, detachMixture } = options;
    return studentToMixture(ops, laws, { beta: 1 - alpha, detachMixture });
  },
};
