import { invariant } from "@tandem/shared/errors/invariant.js";
import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import { z } from "zod";
import { atomLaws, total, type AtomLaws } from "./atoms.js";
import { centre } from "./correlation.js";
import { divergenceRequirement, wholeListOptions } from "./divergence-options.js";
import type { LossDefinition, LossInputs } from "./loss-definition.js";

const options = wholeListOptions
  .extend({
    between: z.number().min(0).default(1).describe("β, weight of the relation between classes"),
    within: z
      .number()
      .min(0)
      .default(0)
      .describe("γ, weight of the relation within each class over a sequence; needs dense"),
  })
  .refine(({ within, dense }) => within === 0 || dense, {
    path: ["within"],
    message: "positions have different lists, so that a class has no column; set dense: true",
  });

/** β·(1 − ρ between classes) + γ·(1 − ρ within classes).
 * Between: Pearson's correlation of p and q over the vocabulary, 0 where a law is uniform. With x and y the laws minus their means the
 * gradient of −ρ by the student's logits is q·(ρ·x/|x|² − y/(|x||y|)). With a top list ρ is taken over the list and its bucket: an approximation.
 * Within: for each id Pearson's correlation of its probabilities over the positions of a sequence, 0 where they do not change, the mean over
 * all ids; every position has its sequence's.
 * Source: Huang et al. 2022 (DIST, arXiv 2205.10536), β = γ = 1 there, over the samples of a batch; a text's positions are related, a batch's are
 * not. */
export const dist: LossDefinition<z.output<typeof options>> = {
  name: "dist",
  summary: "1 − Pearson correlation of p and q",
  source: "DIST, arXiv 2205.10536",
  options,
  requires: (chosen) => ({
    ...divergenceRequirement(chosen),
    ...(chosen.within > 0 && { keepsSequences: true }),
  }),
  perToken: (ops, inputs, chosen) => {
    const laws = atomLaws(ops, inputs, chosen);
    const between = ops.mul(betweenClasses(ops, laws), ops.scalar(chosen.between));
    if (chosen.within === 0) return between;
    return ops.add(between, ops.mul(withinClasses(ops, laws, inputs), ops.scalar(chosen.within)));
  },
};

function betweenClasses<T extends Tensor>(
  ops: TensorOps<T>,
  { teacher, student, logits }: AtomLaws<T>,
): T {
  const [p, q] = [ops.exp(teacher), ops.exp(student)];
  const [x, y] = [centre(ops, q), centre(ops, p)];
  const constant = ops.logicalOr(x.constant, y.constant);
  const inverse = ops.reciprocal(ops.mul(ops.sqrt(x.spread), ops.sqrt(y.spread))); // [n]
  const correlation = ops.mul(total(ops, ops.mul(x.values, y.values)), inverse);
  const rho = ops.where(constant, ops.scalar(0), correlation);
  const scaled = (values: T, by: T): T =>
    ops.mul(values, ops.unsqueeze(ops.where(constant, ops.scalar(0), by), 1));
  const slope = ops.mul(
    q,
    ops.sub(scaled(x.values, ops.div(rho, x.spread)), scaled(y.values, inverse)),
  );
  return ops.withGradient(ops.sub(ops.scalar(1), rho), logits, slope);
}

/** A spread below this part of the mean square is rounding: the id's probability does not change. */
const CONSTANT_SPREAD = 1e-10;

/** Means over the positions of a sequence are products with a matrix of equal shares [n,n]. */
function withinClasses<T extends Tensor>(
  ops: TensorOps<T>,
  { teacher, student }: AtomLaws<T>,
  { places }: LossInputs<T>,
): T {
  invariant(places !== undefined, "the loss sees whole sequences");
  const { sequence } = places;
  const own = ops.cast(ops.equal(ops.unsqueeze(sequence, 1), ops.unsqueeze(sequence, 0)), "f32");
  const shares = ops.div(own, ops.reduceSum(own, { axes: [1], keepDims: true })); // [n,n]
  const mean = (x: T): T => ops.matmul(shares, x); // [n,V]
  const centred = (logLaw: T) => {
    const law = ops.exp(logLaw);
    const values = ops.sub(law, mean(law));
    const spread = mean(ops.mul(values, values));
    const floor = ops.mul(mean(ops.mul(law, law)), ops.scalar(CONSTANT_SPREAD));
    const changes = ops.greater(spread, floor);
    return { values, changes, spread: ops.where(changes, spread, ops.scalar(1)) };
  };
  const [x, y] = [centred(student), centred(teacher)];
  const scale = ops.mul(ops.sqrt(x.spread), ops.sqrt(y.spread));
  const rho = ops.div(mean(ops.mul(x.values, y.values)), scale);
  const change = ops.logicalAnd(x.changes, y.changes);
  const known = ops.where(change, rho, ops.scalar(0)); // [n,V]
  return ops.sub(ops.scalar(1), ops.reduceMean(known, { axes: [1] }));
}
