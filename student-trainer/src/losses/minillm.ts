import { invariant } from "@tandem/shared/errors/invariant.js";
import { z } from "zod";
import { atomLaws, klFromStudent } from "./atoms.js";
import {
  divergenceOptions,
  divergenceRequirement,
  isTempered,
  type DivergenceOptions,
} from "./divergence-options.js";
import { keptShare } from "./kept-share.js";
import type { LossDefinition, MinibatchPosition } from "./loss-definition.js";
import {
  boundedLogProbability,
  oldLogProbability,
  probabilityRatio,
  returnsToGo,
  surrogate,
  whiten,
} from "./policy-gradient.js";
import { tokenLogProbabilityBeside } from "./token-log-probability.js";

export interface MinillmOptions extends DivergenceOptions {
  readonly mix: number;
  readonly singleStep: number;
  readonly horizon: "own" | "next";
  readonly discount: number;
  readonly lengthNormalised: boolean;
  readonly rewardScale: number;
  readonly clipReward: number;
  readonly whiten: boolean;
  readonly clip: number | null;
}

const options = divergenceOptions.extend({
  mix: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe(
      "the teacher's share in the mixture that wrote the text: that of rollout.acceptance.mixture",
    ),
  singleStep: z
    .number()
    .min(0)
    .default(1)
    .describe("weight of the exact reverse KL at each position"),
  horizon: z
    .enum(["own", "next"])
    .default("own")
    .describe(
      "rewards that a token answers for: from its own on (release) or those behind it (paper)",
    ),
  discount: z.number().min(0).max(1).default(0.95).describe("γ of later rewards"),
  lengthNormalised: z.boolean().default(true).describe("divide by the number of rewards"),
  rewardScale: z.number().positive().default(0.5).describe("rewards are divided by it"),
  clipReward: z.number().positive().default(100).describe("largest size of a reward, nats"),
  whiten: z.boolean().default(true).describe("returns of a minibatch get mean 0 and variance 1"),
  clip: z
    .number()
    .positive()
    .lt(1)
    .nullable()
    .default(0.2)
    .describe("PPO's bound on the change of a token's probability; null = none"),
});

/** Sequence-level reverse KL by policy gradient: max(−ρA, −clamp(ρ)A) + singleStep·w·KL(q‖p) at each position, with r = log p − log q₀ of the token,
 * A the (normalised, discounted) sum of rewards from the token on, ρ = w·q/q₀, q₀ the student when it wrote the text, and the importance weight
 * w = q₀/(mix·p + (1−mix)·q₀) of text that the mixture wrote, fixed at roll-out. Given text carries none; the mean is over the rest.
 * Without normalisation, whitening and clip, at discount 1, horizon `next`, rewardScale 1 and mix 0 its gradient, in expectation over the student's
 * texts, is that of KL(q‖p) over whole responses.
 * Source: Gu et al. 2024 (MiniLLM, arXiv 2306.08543) and its release, whose defaults these are; its language-model term is a loss of its own. */
export const minillm: LossDefinition<MinillmOptions> = {
  name: "minillm",
  summary: "policy gradient of sequence-level reverse KL, exact single step",
  source: "MiniLLM, arXiv 2306.08543",
  options,
  requires: (own) => {
    const { signal, ...rest } = divergenceRequirement(own);
    return {
      ...rest,
      signal: { ...signal, token: true, lse: true },
      ownLogProbs: true,
      text: { mixture: own.mix },
    };
  },
  columns: {
    names: ["share", "advantage", "old", "weight"],
    compute: (positions, own) => {
      const rewards = positions.map((position) => rewardOf(position, own));
      const returns = bySequence(positions, rewards).flatMap((each) => returnsToGo(each, own));
      const counts = positions.map(({ given }) => !given);
      const advantages = own.whiten ? whiten(returns, counts) : returns;
      return [
        keptShare(positions, ({ given }) => !given),
        Float32Array.from(advantages, (value, at) => (counts[at] ? value : 0)),
        Float32Array.from(positions, (position) =>
          position.given ? 0 : oldLogProbability(position),
        ),
        Float32Array.from(positions, (position) => importance(position, own.mix)),
      ];
    },
  },
  perToken: (ops, inputs, own) => {
    const { share, advantage, old, weight } = inputs.columns;
    invariant(
      share !== undefined && advantage !== undefined && old !== undefined && weight !== undefined,
      "the loss has its columns",
    );
    const laws = atomLaws(ops, inputs, own);
    const atoms = own.singleStep === 0 || isTempered(own) ? inputs.logits : laws.logits;
    const change = probabilityRatio(ops, tokenLogProbabilityBeside(ops, inputs, atoms), old);
    const ratio = ops.mul(weight, change);
    const long = surrogate(ops, { ratio, advantage, clip: own.clip });
    if (own.singleStep === 0) return ops.mul(share, long);
    const kl = klFromStudent(ops, laws);
    const single = ops.mul(ops.mul(weight, kl), ops.scalar(own.singleStep));
    return ops.mul(share, ops.add(long, single));
  },
};

function rewardOf(
  position: MinibatchPosition,
  { rewardScale, clipReward }: MinillmOptions,
): number {
  if (position.given) return 0;
  const reward = (boundedLogProbability(position) - oldLogProbability(position)) / rewardScale;
  return Math.min(clipReward, Math.max(-clipReward, reward));
}

/** q₀/(mix·p + (1−mix)·q₀) of the token. */
function importance(position: MinibatchPosition, mix: number): number {
  if (position.given || mix === 0) return 1;
  return (
    1 / (1 - mix + mix * Math.exp(boundedLogProbability(position) - oldLogProbability(position)))
  );
}

/** The numbers of each sequence in a list of its own. */
function bySequence(
  positions: readonly MinibatchPosition[],
  values: readonly number[],
): readonly (readonly number[])[] {
  const lists: number[][] = [];
  positions.forEach(({ sequence }, at) => {
    if (at === 0 || sequence !== positions[at - 1]!.sequence) lists.push([]);
    lists.at(-1)!.push(values[at]!);
  });
  return lists;
}
