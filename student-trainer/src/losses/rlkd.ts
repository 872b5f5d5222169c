import { z } from "zod";
import { agreedIds } from "./agreed-ids.js";
import { atomLaws, klFromStudent, klFromTeacher } from "./atoms.js";
import { divergenceRequirement, wholeListOptions } from "./divergence-options.js";
import type { LossDefinition } from "./loss-definition.js";
import { rankAgreement, rankOptions, rankReadWith } from "./rank-agreement.js";

const options = wholeListOptions.extend({
  ...rankOptions.shape,
  divergence: z
    .enum(["forward-kl", "reverse-kl"])
    .default("forward-kl")
    .describe("which divergence, with its options beside it"),
  ratio: z.number().min(0).default(2).describe("weight of the ranking term"),
  dynamic: z
    .boolean()
    .default(false)
    .describe("weigh a position's divergence by |both top-k lists' intersection| / k"),
});

/** ratio·ranking + w·divergence; w = 1, or with `dynamic` the overlap of both top-k lists. The release has half of it: ratio 1 and ½.
 * With other divergences: two entries, `ranking` with weight 2 and the divergence.
 * Source: Peng & Zhang 2024 (RLKD, arXiv 2409.12545). */
export const rlkd: LossDefinition<z.output<typeof options>> = {
  name: "rlkd",
  summary: "2·ranking + KL, optionally weighted by the overlap of the top lists",
  source: "RLKD, arXiv 2409.12545",
  options,
  readWith: rankReadWith,
  requires: (chosen) => {
    const requirement = divergenceRequirement(chosen);
    if (chosen.dense) return { ...requirement, ranks: chosen.k };
    const topK = Math.max(chosen.k, chosen.topK);
    return { ...requirement, signal: { ...requirement.signal, topK }, studentTopK: chosen.k };
  },
  perToken: (ops, inputs, chosen) => {
    const ids = agreedIds(ops, inputs, chosen);
    const laws = atomLaws(ops, inputs, chosen);
    const divergence = chosen.divergence === "forward-kl" ? klFromTeacher : klFromStudent;
    const value = divergence(ops, laws); // [n]
    return ops.add(
      ops.mul(rankAgreement(ops, ids, chosen), ops.scalar(chosen.ratio)),
      chosen.dynamic ? ops.mul(ids.overlap, value) : value,
    );
  },
};
