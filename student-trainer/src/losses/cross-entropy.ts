import { z } from "zod";
import type { LossDefinition } from "./loss-definition.js";

const options = z.strictObject({});

/** −log q(token): the token at the position is the label. Needs no teacher. Source: maximum likelihood; as sequence-level
 * distillation on text that the teacher wrote: Kim & Rush 2016 (arXiv 1606.07947) eq. 8. */
export const crossEntropy: LossDefinition<z.output<typeof options>> = {
  name: "cross-entropy",
  summary: "−log q(token)",
  source: "maximum likelihood; Kim & Rush 2016, arXiv 1606.07947",
  options,
  requires: () => ({}),
  perToken: (ops, { logits, targets }) => {
    const chosen = ops.takeAlongAxis(logits, ops.unsqueeze(targets, 1), 1); // [n,1]
    return ops.sub(ops.logSumExp(logits, 1), ops.squeeze(chosen, 1)); // [n]
  },
};
