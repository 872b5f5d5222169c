import { atomLaws } from "./atoms.js";
import {
  divergenceOptions,
  divergenceRequirement,
  type DivergenceOptions,
} from "./divergence-options.js";
import type { LossDefinition } from "./loss-definition.js";

/** ½ Σ |p − q| = 1 − Σ min(p, q): one minus the acceptance rate of the student as a speculative draft.
 * Source: Wen et al. 2023 (f-divergence minimisation, arXiv 2307.15190); Zhou et al. 2023 (DistillSpec, 2310.08461). With a top list
 * it is a lower bound of the dense value. */
export const totalVariation: LossDefinition<DivergenceOptions> = {
  name: "total-variation",
  summary: "½ Σ |p − q|",
  source: "f-DISTILL, arXiv 2307.15190; DistillSpec, arXiv 2310.08461",
  options: divergenceOptions,
  requires: divergenceRequirement,
  perToken: (ops, inputs, options) => {
    const { teacher, student } = atomLaws(ops, inputs, options);
    const gaps = ops.abs(ops.sub(ops.exp(student), ops.exp(teacher))); // [n,A]
    return ops.mul(ops.reduceSum(gaps, { axes: [1] }), ops.scalar(0.5));
  },
};
