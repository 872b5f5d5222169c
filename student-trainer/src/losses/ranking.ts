import { agreedIds } from "./agreed-ids.js";
import type { LossDefinition } from "./loss-definition.js";
import { rankAgreement, rankOptions, rankReadWith, type RankOptions } from "./rank-agreement.js";

/** The order of the likeliest ids, over the union of the teacher's and the student's top k of each position.
 * Source: Peng & Zhang 2024 (RLKD, arXiv 2409.12545): 1 − Spearman of differentiable ranks; 1 where a side has no order (all equal).
 * Plackett–Luce: arXiv 2506.12542. */
export const ranking: LossDefinition<RankOptions> = {
  name: "ranking",
  summary: "order of the top k of both sides",
  source: "RLKD, arXiv 2409.12545",
  options: rankOptions,
  readWith: rankReadWith,
  requires: ({ dense, k }) =>
    dense ? { signal: { dense: "f32" }, ranks: k } : { signal: { topK: k }, studentTopK: k },
  perToken: (ops, inputs, options) => rankAgreement(ops, agreedIds(ops, inputs, options), options),
};
