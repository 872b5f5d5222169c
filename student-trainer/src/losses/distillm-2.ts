import { invariant } from "@tandem/shared/errors/invariant.js";
import { z } from "zod";
import { atomLaws } from "./atoms.js";
import { divergenceOptions, divergenceRequirement } from "./divergence-options.js";
import type { LossDefinition, MinibatchPosition } from "./loss-definition.js";
import { studentToMixture, teacherToMixture } from "./mixture.js";
import { scheduleMaximum, scheduleMinimum, scheduleSchema } from "./schedule.js";
import { teacherLogProbability, tokenLogProbability } from "./token-log-probability.js";

const options = divergenceOptions.extend({
  alpha: z
    .number()
    .gt(0)
    .lt(1)
    .default(0.1)
    .describe("weight of the other side in both mixtures; adaptive: the largest"),
  balance: scheduleSchema
    .refine(
      (schedule) => scheduleMinimum(schedule) >= 0 && scheduleMaximum(schedule) <= 2,
      "must stay within 0 … 2",
    )
    .default({ kind: "constant", value: 1 })
    .describe("b: the student's text counts b times, other text 2 − b times"),
  anchor: z
    .number()
    .min(0)
    .default(0)
    .describe(
      "m: makes α = 1 − (1 − alpha)·m/(Δ + 1e-5), within 0.01 … alpha, of each sequence; 0: alpha everywhere",
    ),
});

type Distillm2Options = z.output<typeof options>;

/** No α is smaller. */
const LEAST_ALPHA = 0.01;

/** Text of the student: b·KL(q ‖ (1−α)p + αq), the q in the mixture held constant; other text: (2−b)·KL(p ‖ αp + (1−α)q).
 * With `anchor` > 0 α follows how far the sides are apart on the sequence, Δ = exp(mean log p(y)) − exp(mean log q(y)), on the student's text
 * with the other sign; α is a constant.
 * Source: Ko et al. 2025 (DistiLLM-2, arXiv 2503.07067) and its release, which divides by sequences: `training.reduction: sequence`. There
 * a mistake keeps α fixed, and m is meant to be Δ's mean when it was first logged: give it. */
export const distillm2: LossDefinition<Distillm2Options> = {
  name: "distillm-2",
  summary: "skew forward KL on the teacher's text, skew reverse KL on the student's",
  source: "DistiLLM-2, arXiv 2503.07067",
  options,
  requires: (chosen) => {
    const requirement = divergenceRequirement(chosen);
    const adaptive = chosen.anchor > 0 && { token: true, lse: true };
    return {
      ...requirement,
      signal: { ...requirement.signal, ...adaptive },
      scalars: { balance: chosen.balance },
    };
  },
  needsProbe: ({ anchor }) => anchor > 0,
  probe: tokenLogProbability,
  columns: {
    names: ["byStudent", "alpha"],
    compute: (positions, { alpha, anchor }) => {
      const alphas =
        anchor === 0 ? positions.map(() => alpha) : adaptiveAlphas(positions, { alpha, anchor });
      const own = positions.map(({ byStudent }) => (byStudent ? 1 : 0));
      return [Float32Array.from(own), Float32Array.from(alphas)];
    },
  },
  perToken: (ops, inputs, chosen) => {
    const { byStudent, alpha: given } = inputs.columns;
    const { balance } = inputs.scalars;
    invariant(
      byStudent !== undefined && given !== undefined && balance !== undefined,
      "the loss is given its columns and its schedule",
    );
    // Rows without a position have 0.
    const alpha = ops.unsqueeze(ops.maximum(given, ops.scalar(LEAST_ALPHA)), 1); // [n,1]
    const laws = atomLaws(ops, inputs, chosen);
    // The teacher's weight in the mixture: 1 − α on the student's text, α on other. A position has one of the two terms, so one mixture does.
    const own = ops.unsqueeze(byStudent, 1); // [n,1]
    const beta = ops.add(
      alpha,
      ops.mul(own, ops.sub(ops.scalar(1), ops.mul(alpha, ops.scalar(2)))),
    );
    const onOwn = studentToMixture(ops, laws, { beta, detachMixture: true });
    const onOther = teacherToMixture(ops, laws, beta);
    const other = ops.mul(ops.sub(ops.scalar(2), balance), ops.sub(ops.scalar(1), byStudent));
    return ops.add(ops.mul(ops.mul(balance, byStudent), onOwn), ops.mul(other, onOther));
  },
};

/** One α per sequence, at each of its positions. A sequence of both authors counts as that of most of its tokens. */
function adaptiveAlphas(
  positions: readonly MinibatchPosition[],
  { alpha, anchor }: { readonly alpha: number; readonly anchor: number },
): readonly number[] {
  const sequences = new Map<number, MinibatchPosition[]>();
  for (const position of positions) {
    const known = sequences.get(position.sequence);
    if (known === undefined) sequences.set(position.sequence, [position]);
    else known.push(position);
  }
  const found = new Map<number, number>();
  for (const [key, own] of sequences) {
    const mean = (pick: (of: MinibatchPosition) => number) =>
      own.reduce((sum, position) => sum + pick(position), 0) / own.length;
    const teacher = Math.exp(mean(teacherLogProbability));
    const student = Math.exp(mean(({ probe }) => probe));
    const sign = mean(({ byStudent }) => (byStudent ? 1 : 0)) > 0.5 ? -1 : 1;
    const gap = sign * (teacher - student) + 1e-5;
    found.set(key, Math.min(alpha, Math.max(LEAST_ALPHA, 1 - ((1 - alpha) * anchor) / gap)));
  }
  return positions.map(({ sequence }) => found.get(sequence)!);
}
