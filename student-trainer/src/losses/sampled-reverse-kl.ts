import { invariant } from "@tandem/shared/errors/invariant.js";
import { z } from "zod";
import { keptShare } from "./kept-share.js";
import type { LossDefinition, MinibatchPosition } from "./loss-definition.js";
import {
  boundedLogProbability,
  oldLogProbability,
  probabilityRatio,
  surrogate,
} from "./policy-gradient.js";
import { tokenLogProbability } from "./token-log-probability.js";
import { tokenLogProbs } from "./top-log-probs.js";
import { bounded } from "./atoms.js";

export interface SampledReverseKlOptions {
  readonly scale: number;
  readonly ratio: "now" | "old";
  readonly clip: number | null;
}

const options = z.strictObject({
  scale: z.number().positive().default(1).describe("c, multiplies the advantage"),
  ratio: z
    .enum(["now", "old"])
    .default("now")
    .describe(
      "the law that the text was drawn from: the current one, right where each text is used once by the student that wrote it, or the one recorded when it was written",
    ),
  clip: z
    .number()
    .positive()
    .lt(1)
    .nullable()
    .default(null)
    .describe("ratio old: PPO's bound on the change of a token's probability; null = none"),
});

/** −ρ·A with A = −c·(log q₀(y) − log p(y)) held constant and ρ = q(y)/q₀(y): the policy gradient of reverse KL at the token y that the student
 * sampled from q₀. With `ratio: now` q₀ is q itself as a constant, and the value is c·log q(y)/p(y). Over samples of q₀ the gradient is
 * unbiased for that of KL(q‖p) at the visited position as long as q is q₀; once it has moved, ρ corrects the token's own probability.
 * Positions that the student did not write carry none; the mean is over the others.
 * Source: Lu et al. 2025 (on-policy distillation, Thinking Machines), discount 0: one teacher log-probability per position. */
export const sampledReverseKl: LossDefinition<SampledReverseKlOptions> = {
  name: "sampled-reverse-kl",
  summary: "policy gradient of reverse KL at the student's own tokens",
  source: "on-policy distillation, Thinking Machines 2025; MiniLLM, arXiv 2306.08543",
  options,
  readWith: { clip: { option: "ratio", values: ["old"] } },
  requires: ({ ratio }) => ({
    signal: { token: true, lse: true, logProbs: true },
    ownLogProbs: ratio === "old",
    text: ratio === "old" ? "student" : "current-student",
  }),
  columns: {
    names: ({ ratio }) => (ratio === "now" ? ["own"] : ["own", "old", "advantage"]),
    compute: (positions, { ratio, scale }) => {
      const own = keptShare(positions, ({ byStudent }) => byStudent);
      if (ratio === "now") return [own];
      const ifOwn = (value: (position: MinibatchPosition) => number) =>
        Float32Array.from(positions, (position) => (position.byStudent ? value(position) : 0));
      const advantage = (position: MinibatchPosition): number =>
        scale * (boundedLogProbability(position) - oldLogProbability(position));
      return [own, ifOwn(oldLogProbability), ifOwn(advantage)];
    },
  },
  perToken: (ops, inputs, { scale, ratio, clip }) => {
    const { own, old, advantage: known } = inputs.columns;
    invariant(own !== undefined, "the loss is given the tokens that are the student's own");
    const logQ = tokenLogProbability(ops, inputs); // [n]
    if (ratio === "old") {
      invariant(old !== undefined && known !== undefined, "the loss has its columns");
      const change = probabilityRatio(ops, logQ, old);
      return ops.mul(own, surrogate(ops, { ratio: change, advantage: known, clip }));
    }
    const constant = ops.stopGradient(logQ);
    const one = ops.exp(ops.sub(logQ, constant)); // 1, with the gradient of log q
    const logP = bounded(ops, tokenLogProbs(ops, inputs.teacher));
    const advantage = ops.mul(ops.sub(logP, constant), ops.scalar(scale));
    return ops.mul(own, surrogate(ops, { ratio: one, advantage, clip: null }));
  },
};
