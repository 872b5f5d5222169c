import { invariant } from "@tandem/shared/errors/invariant.js";
import { z } from "zod";
import type { LossDefinition } from "./loss-definition.js";

const options = z.strictObject({
  draws: z.int().min(1).default(50).describe("N, samples of the teacher per position"),
});

/** −Σ_i c_i/N·log q(i) over the distinct ids i among N samples of the teacher, c_i their counts: an unbiased estimate, value and gradient,
 * of the cross-entropy with the teacher's law, KL(p‖q) + H(p).
 * Source: Anshumann et al. 2025 (random sampling KD, arXiv 2503.16870): N = 50, about 12 distinct ids. */
export const rsKd: LossDefinition<z.output<typeof options>> = {
  name: "rs-kd",
  summary: "cross-entropy with N samples of the teacher (unbiased)",
  source: "random sampling KD, arXiv 2503.16870",
  options,
  requires: ({ draws }) => ({ signal: { draws } }),
  perToken: (ops, { logits, teacher }) => {
    const { draws } = teacher;
    invariant(draws !== undefined, "the loss is given the teacher's draws");
    const chosen = ops.takeAlongAxis(logits, draws.ids, 1); // [n,N]
    const count = ops.maximum(ops.reduceSum(draws.counts, { axes: [1] }), ops.scalar(1)); // [n]
    const mean = ops.div(ops.reduceSum(ops.mul(draws.counts, chosen), { axes: [1] }), count);
    return ops.sub(ops.logSumExp(logits, 1), mean);
  },
};
