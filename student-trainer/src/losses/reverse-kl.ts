import { atomLaws, klFromStudent } from "./atoms.js";
import {
  divergenceOptions,
  divergenceRequirement,
  type DivergenceOptions,
} from "./divergence-options.js";
import type { LossDefinition } from "./loss-definition.js";

/** KL(q‖p), student first, at temperature τ. Source: Agarwal et al. 2024 (GKD, arXiv 2306.13649) §3; the single-step reverse KL of
 * Gu et al. 2024 (MiniLLM, 2306.08543). With a top list it is a lower bound of the dense value: merging atoms never raises a KL. */
export const reverseKl: LossDefinition<DivergenceOptions> = {
  name: "reverse-kl",
  summary: "KL(q‖p)",
  source: "GKD, arXiv 2306.13649; MiniLLM, arXiv 2306.08543",
  options: divergenceOptions,
  requires: divergenceRequirement,
  perToken: (ops, inputs, options) => klFromStudent(ops, atomLaws(ops, inputs, options)),
};
