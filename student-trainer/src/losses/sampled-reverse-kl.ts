import { invariant } from "@tandem/shared/errors/invariant.js";
import { z } from "zod";
import { bounded } from "./atoms.js";
import { keptShare } from "./kept-share.js";
import type { LossDefinition } from "./loss-definition.js";

const options = z.strictObject({
  scale: z.number().positive().default(1).describe("c, multiplies the advantage"),
});

/** −A·q(y)/sg(q(y)) with A = −c·(log q(y) − log p(y)) held constant: the policy gradient of reverse KL at the token y that the student
 * sampled. Its value is c·log q(y)/p(y). Over samples of the student the gradient is unbiased for that of KL(q‖p) at the visited position.
 * Positions that the student did not write carry none; the mean is over the others.
 * The sampling law is taken to be the current one, which holds where each rollout is trained on once (lag 0).
 * Source: Lu et al. 2025 (on-policy distillation, Thinking Machines), discount 0: one teacher log-probability per position. */
export const sampledReverseKl: LossDefinition<z.output<typeof options>> = {
  name: "sampled-reverse-kl",
  summary: "policy gradient of reverse KL at the student's own tokens",
  source: "on-policy distillation, Thinking Machines 2025; MiniLLM, arXiv 2306.08543",
  options,
  requires: () => ({ signal: { token: true, lse: true } }),
  columns: {
    names: ["own"],
    compute: (positions) => [keptShare(positions, ({ byStudent }) => byStudent)],
  },
  perToken: (ops, { logits, targets, teacher, columns }, { scale }) => {
    const { token, lse } = teacher;
    const { own } = columns;
    invariant(
      token !== undefined && lse !== undefined && own !== undefined,
      "the loss is given the teacher's probability of the token",
    );
    const chosen = ops.squeeze(ops.takeAlongAxis(logits, ops.unsqueeze(targets, 1), 1), 1);
    const logQ = ops.sub(chosen, ops.logSumExp(logits, 1)); // [n]
    const logP = bounded(ops, ops.sub(token.logit, lse));
    const constant = ops.stopGradient(logQ);
    const ratio = ops.exp(ops.sub(logQ, constant)); // 1, with the gradient of log q
    const advantage = ops.mul(ops.sub(logP, constant), ops.scalar(scale));
    return ops.neg(ops.mul(own, ops.mul(ratio, advantage)));
  },
};
