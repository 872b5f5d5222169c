import { atomLaws, total } from "./atoms.js";
import { centre } from "./correlation.js";
import {
  divergenceOptions,
  divergenceRequirement,
  type DivergenceOptions,
} from "./divergence-options.js";
import type { LossDefinition } from "./loss-definition.js";

/** 1 − ρ(p, q), Pearson's correlation of the two laws over the vocabulary; 1 where a law is uniform. With x and y the laws minus their means
 * the gradient by the student's logits is q·(ρ·x/|x|² − y/(|x||y|)).
 * Source: Huang et al. 2022 (DIST, arXiv 2205.10536), the relation between classes. The relation within a class (over the samples
 * of a batch) mixes unrelated positions of a text and is left out. With a top list ρ is taken over the list and its bucket: an approximation. */
export const dist: LossDefinition<DivergenceOptions> = {
  name: "dist",
  summary: "1 − Pearson correlation of p and q",
  source: "DIST, arXiv 2205.10536",
  options: divergenceOptions,
  requires: divergenceRequirement,
  perToken: (ops, inputs, options) => {
    const { teacher, student, logits } = atomLaws(ops, inputs, options);
    const [p, q] = [ops.exp(teacher), ops.exp(student)];
    const [x, y] = [centre(ops, q), centre(ops, p)];
    const constant = ops.logicalOr(x.constant, y.constant);
    const inverse = ops.reciprocal(ops.mul(ops.sqrt(x.spread), ops.sqrt(y.spread))); // [n]
    const correlation = ops.mul(total(ops, ops.mul(x.values, y.values)), inverse);
    const rho = ops.where(constant, ops.scalar(0), correlation);
    const scaled = (values: typeof p, by: typeof p): typeof p =>
      ops.mul(values, ops.unsqueeze(ops.where(constant, ops.scalar(0), by), 1));
    const slope = ops.mul(
      q,
      ops.sub(scaled(x.values, ops.div(rho, x.spread)), scaled(y.values, inverse)),
    );
    return ops.withGradient(ops.sub(ops.scalar(1), rho), logits, slope);
  },
};
