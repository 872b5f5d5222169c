import { invariant } from "@tandem/shared/errors/invariant.js";
import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import { z } from "zod";
import type { LossDefinition, TeacherTensors } from "./loss-definition.js";

const options = z.strictObject({
  draws: z.int().min(1).default(50).describe("N, samples of the teacher per position"),
  drawTemperature: z
    .number()
    .positive()
    .default(1)
    .describe(
      "τ of the law that is sampled, softmax(u/τ): above 1 the samples reach further down, below 1 they are fewer and likelier",
    ),
  renormalised: z
    .boolean()
    .default(false)
    .describe(
      "divide the samples' weights by their sum: with a temperature other than 1 less spread, but a bias",
    ),
});

/** −Σ_i t_i·log q(i) over the distinct ids i among N samples of s = softmax(u/τ), t_i = c_i·w_i/N, c_i their counts, w_i = p(i)/s(i): an unbiased
 * estimate, value and gradient, of the cross-entropy with the teacher's law, KL(p‖q) + H(p). Renormalised: t_i/Σt.
 * Source: Anshumann et al. 2025 (random sampling KD, arXiv 2503.16870): τ = 1, N = 50, about 12 distinct ids; other proposals with
 * importance weights. */
export const rsKd: LossDefinition<z.output<typeof options>> = {
  name: "rs-kd",
  summary: "cross-entropy with N samples of the teacher (unbiased)",
  source: "random sampling KD, arXiv 2503.16870",
  options,
  requires: ({ draws, drawTemperature }) => ({ signal: { draws, drawTemperature } }),
  perToken: (ops, { logits, teacher }, { renormalised }) => {
    const { draws } = teacher;
    invariant(draws !== undefined, "the loss is given the teacher's draws");
    const chosen = ops.takeAlongAxis(logits, draws.ids, 1); // [n,N]
    const target = weightsOf(ops, draws, renormalised); // [n,N]
    const mass = ops.reduceSum(target, { axes: [1] }); // [n]
    const own = ops.reduceSum(ops.mul(target, chosen), { axes: [1] });
    return ops.sub(ops.mul(mass, ops.logSumExp(logits, 1)), own);
  },
};

/** t, f32 [n,N]; zeros in rows without samples. */
function weightsOf<T extends Tensor>(
  ops: TensorOps<T>,
  { counts, weights }: NonNullable<TeacherTensors<T>["draws"]>,
  renormalised: boolean,
): T {
  const worth = weights === undefined ? counts : ops.mul(counts, weights);
  const total = ops.reduceSum(renormalised ? worth : counts, { axes: [1], keepDims: true });
  return ops.div(worth, ops.where(ops.greater(total, ops.scalar(0)), total, ops.scalar(1)));
}
