import { atomLaws, klFromTeacher } from "./atoms.js";
import {
  divergenceOptions,
  divergenceRequirement,
  type DivergenceOptions,
} from "./divergence-options.js";
import type { LossDefinition } from "./loss-definition.js";

/** KL(p‖q), teacher first, at temperature τ and without a factor τ².
 * Source: Hinton et al. 2015 (arXiv 1503.02531) §2; as the loss of SKD: Xu et al. 2024 (2410.11325), there at τ = 1 over the whole
 * vocabulary; with a top list the rest is one bucket, whose optimum is unbiased on the list. */
export const forwardKl: LossDefinition<DivergenceOptions> = {
  name: "forward-kl",
  summary: "KL(p‖q)",
  source: "Hinton et al. 2015, arXiv 1503.02531",
  options: divergenceOptions,
  requires: divergenceRequirement,
  perToken: (ops, inputs, options) => klFromTeacher(ops, atomLaws(ops, inputs, options)),
};
