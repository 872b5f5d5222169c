import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import type { MinibatchPosition } from "./loss-definition.js";
import { signalPart } from "./signal-part.js";
import { teacherLogProbability } from "./token-log-probability.js";

/** A token of which the teacher thinks nothing counts so many nats. */
const LEAST_LOG_PROBABILITY = -100;

/** Largest logarithm of a ratio: e^20 is no estimate of anything any more, e^89 no float32. */
const LARGEST_LOG_RATIO = 20;

/** q/q₀ of the token, f32 [n], from the logarithms. */
export function probabilityRatio<T extends Tensor>(ops: TensorOps<T>, logQ: T, old: T): T {
  return ops.exp(ops.minimum(ops.sub(logQ, old), ops.scalar(LARGEST_LOG_RATIO)));
}

/** −ρ·A, or with a clip ε the larger of −ρ·A and −clamp(ρ, 1−ε, 1+ε)·A: what is to be minimised. Source: PPO, arXiv 1707.06347, eq. 7. */
export function surrogate<T extends Tensor>(
  ops: TensorOps<T>,
  {
    ratio,
    advantage,
    clip,
  }: { readonly ratio: T; readonly advantage: T; readonly clip: number | null },
): T {
  const plain = ops.neg(ops.mul(ratio, advantage));
  if (clip === null) return plain;
  const inside = ops.minimum(ops.maximum(ratio, ops.scalar(1 - clip)), ops.scalar(1 + clip));
  return ops.maximum(plain, ops.neg(ops.mul(inside, advantage)));
}

/** log p of the token at a position, the teacher's; never so low that nothing can be done with it. */
export function boundedLogProbability(position: MinibatchPosition): number {
  return Math.max(teacherLogProbability(position), LEAST_LOG_PROBABILITY);
}

/** log q of the token when it was written. */
export function oldLogProbability({ oldLogProb }: MinibatchPosition): number {
  return signalPart(oldLogProb, "the student's probability of the token when it was written");
}

export interface ReturnOptions {
  /** γ. */
  readonly discount: number;
  /** Does a return begin with the position's own reward, or with the next one's? */
  readonly horizon: "own" | "next";
  /** Divided by the number of rewards in it. */
  readonly lengthNormalised: boolean;
}

/** Of each position of one sequence: Σ_{i ≥ s} γ^(i−s)·r_i, s the position or the one behind it; 0 where none is left. */
export function returnsToGo(
  rewards: readonly number[],
  { discount, horizon, lengthNormalised }: ReturnOptions,
): readonly number[] {
  const count = rewards.length;
  const own = new Float64Array(count + 1);
  for (let t = count - 1; t >= 0; t--) own[t] = rewards[t]! + discount * own[t + 1]!;
  return rewards.map((_, t) => {
    const begin = horizon === "own" ? t : t + 1;
    const left = count - begin;
    if (left === 0) return 0;
    return own[begin]! / (lengthNormalised ? left : 1);
  });
}

/** Mean 0 and variance 1 over the numbers that count. */
export function whiten(values: readonly number[], counts: readonly boolean[]): readonly number[] {
  const kept = values.filter((_, at) => counts[at]);
  const mean = kept.reduce((sum, value) => sum + value, 0) / kept.length;
  const variance = kept.reduce((sum, value) => sum + (value - mean) ** 2, 0) / kept.length;
  return values.map((value) => (value - mean) / Math.sqrt(variance + 1e-8));
}
