import { invariant } from "@tandem/shared/errors/invariant.js";
import { z } from "zod";
import { keptShare } from "./kept-share.js";
import type { LossDefinition } from "./loss-definition.js";

const options = z.strictObject({
  of: z
    .enum(["all", "others"])
    .default("all")
    .describe(
      "whose tokens are labels; others: not those that the student wrote, the mean is over the rest",
    ),
});

/** −log q(token): the token at the position is the label. Needs no teacher. Source: maximum likelihood; as sequence-level
 * distillation on text that the teacher wrote: Kim & Rush 2016 (arXiv 1606.07947) eq. 8. */
export const crossEntropy: LossDefinition<z.output<typeof options>> = {
  name: "cross-entropy",
  summary: "−log q(token)",
  source: "maximum likelihood; Kim & Rush 2016, arXiv 1606.07947",
  options,
  requires: () => ({ text: { labels: "leave the loss out" } }),
  columns: {
    names: ({ of }) => (of === "others" ? ["others"] : []),
    compute: (positions, { of }) =>
      of === "others" ? [keptShare(positions, ({ byStudent }) => !byStudent)] : [],
  },
  perToken: (ops, { logits, targets, columns }, { of }) => {
    const chosen = ops.takeAlongAxis(logits, ops.unsqueeze(targets, 1), 1); // [n,1]
    const value = ops.sub(ops.logSumExp(logits, 1), ops.squeeze(chosen, 1)); // [n]
    if (of === "all") return value;
    invariant(columns.others !== undefined, "the loss is given its column");
    return ops.mul(columns.others, value);
  },
};
