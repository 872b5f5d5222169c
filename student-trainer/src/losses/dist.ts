import { atomLaws } from "./atoms.js";
import { pearson } from "./correlation.js";
import {
  divergenceOptions,
  divergenceRequirement,
  type DivergenceOptions,
} from "./divergence-options.js";
import type { LossDefinition } from "./loss-definition.js";

/** 1 − ρ(p, q), Pearson's correlation of the two laws over the vocabulary; 1 where a law is uniform.
 * Source: Huang et al. 2022 (DIST, arXiv 2205.10536), the relation between classes. The relation within a class (over the samples
 * of a batch) mixes unrelated positions of a text and is left out. With a top list ρ is taken over the list and its bucket: an approximation. */
export const dist: LossDefinition<DivergenceOptions> = {
  name: "dist",
  summary: "1 − Pearson correlation of p and q",
  source: "DIST, arXiv 2205.10536",
  options: divergenceOptions,
  requires: divergenceRequirement,
  perToken: (ops, inputs, options) => {
    const { teacher, student } = atomLaws(ops, inputs, options);
    return ops.sub(ops.scalar(1), pearson(ops, ops.exp(student), ops.exp(teacher)));
  },
};
