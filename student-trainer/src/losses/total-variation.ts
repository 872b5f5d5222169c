import { alongSoftmax, atomLaws, total } from "./atoms.js";
import {
  divergenceOptions,
  divergenceRequirement,
  type DivergenceOptions,
} from "./divergence-options.js";
import type { LossDefinition } from "./loss-definition.js";

/** ½ Σ |p − q| = 1 − Σ min(p, q), by the student's logits q·([q > p] − Σ q·[q > p]): one minus the acceptance rate of the student as a speculative draft.
 * Source: Wen et al. 2023 (f-divergence minimisation, arXiv 2307.15190); Zhou et al. 2023 (DistillSpec, 2310.08461). With a top list
 * it is a lower bound of the dense value. */
export const totalVariation: LossDefinition<DivergenceOptions> = {
  name: "total-variation",
  summary: "½ Σ |p − q|",
  source: "f-DISTILL, arXiv 2307.15190; DistillSpec, arXiv 2310.08461",
  options: divergenceOptions,
  requires: divergenceRequirement,
  perToken: (ops, inputs, options) => {
    const { teacher, student, logits } = atomLaws(ops, inputs, options);
    const [p, q] = [ops.exp(teacher), ops.exp(student)];
    const value = ops.mul(total(ops, ops.abs(ops.sub(q, p))), ops.scalar(0.5));
    const above = ops.cast(ops.greater(q, p), "f32");
    return ops.withGradient(value, logits, alongSoftmax(ops, q, above));
  },
};
