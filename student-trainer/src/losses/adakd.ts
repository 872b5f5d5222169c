import { invariant } from "@tandem/shared/errors/invariant.js";
import { z } from "zod";
import { klFromStudent, klFromTeacher, lawsOf } from "./atoms.js";
import { keptShare } from "./kept-share.js";
import type { LossDefinition, MinibatchPosition } from "./loss-definition.js";
import { lowerMedian } from "./lower-median.js";
import { scheduleAt, scheduleMaximum, scheduleMinimum, scheduleSchema } from "./schedule.js";

const options = z.strictObject({
  ratio: scheduleSchema
    .refine(
      (schedule) => scheduleMinimum(schedule) > 0 && scheduleMaximum(schedule) <= 1,
      "must stay above 0 and at most 1",
    )
    .default({ kind: "constant", value: 1 })
    .describe(
      "r, the part of the minibatch's positions that is trained on: those with the largest scores; with controlled where it begins",
    ),
  controlled: z
    .boolean()
    .default(false)
    .describe("r follows the smoothed loss: less of the text when it falls, more when it rises"),
  tolerance: z
    .number()
    .positive()
    .lt(1)
    .default(0.05)
    .describe("ε: change of the smoothed loss that moves r, as a part of it"),
  rate: z
    .number()
    .positive()
    .lt(1)
    .default(0.05)
    .describe("σ: by how much r is moved, as a part of it"),
  temperature: scheduleSchema
    .refine((schedule) => scheduleMinimum(schedule) > 0, "must be positive")
    .default({ kind: "constant", value: 1 })
    .describe("T₀, that of a position with the median score"),
  strength: z
    .number()
    .min(0)
    .default(0.5)
    .describe("c: temperatures lie between T₀·e^−c and T₀·e^c"),
  soften: z
    .boolean()
    .default(false)
    .describe("hard positions get the higher temperatures instead of the lower ones"),
  divergence: z
    .enum(["forward-kl", "reverse-kl"])
    .default("reverse-kl")
    .describe("of both sides at the position's temperature"),
});

/** Mean over the selected positions of T²·KL(softmax(v/T) ‖ softmax(u/T)): selected are the ⌈r·n⌉ positions with the largest score
 * s = ‖√p − √q‖/√2 (Hellinger) before the step, T = T₀·exp(−c·tanh(log(s/median s))), median over the selected, no gradient through s, T and
 * the selection.
 * Source: AdaKD (arXiv 2510.11615): token selection (LATF), with `controlled` as its release moves r by the smoothed loss, and inverse
 * difficulty temperatures (IDTS). The release lets a gradient through T. */
export const adakd: LossDefinition<z.output<typeof options>> = {
  name: "adakd",
  summary: "reverse KL at the hardest positions, the harder the colder",
  source: "AdaKD, arXiv 2510.11615",
  options,
  readWith: {
    tolerance: { option: "controlled", values: [true] },
    rate: { option: "controlled", values: [true] },
  },
  requires: () => ({ signal: { dense: "f32" } }),
  probe: (ops, { logits, teacher }) => {
    invariant(teacher.dense !== undefined, "a dense loss is given dense teacher logits");
    const half = ops.scalar(0.5);
    const root = (x: typeof logits) => ops.exp(ops.mul(ops.logSoftmax(x, 1), half));
    const gap = ops.sub(root(teacher.dense), root(logits)); // [n,V]
    return ops.sqrt(ops.mul(ops.reduceSum(ops.mul(gap, gap), { axes: [1] }), half));
  },
  parameters: ({ controlled, ratio }) =>
    controlled ? { controller: { shape: [3], initial: [scheduleAt(ratio, 0), 0, 0] } } : {},
  observe: ({ options: chosen, value, progress, parameters: { controller } }) => {
    if (controller === undefined || !Number.isFinite(value)) return;
    controller.set(controlled([...controller], { ...chosen, value, progress }));
  },
  columns: {
    names: ["share", "temperature"],
    compute: (positions, { ratio, temperature, strength, soften }, progress, { controller }) => {
      const selected = hardest(positions, controller?.[0] ?? scheduleAt(ratio, progress));
      const median = lowerMedian([...selected].map(({ probe }) => probe));
      const slope = soften ? strength : -strength;
      const middle = scheduleAt(temperature, progress);
      const temperatures = positions.map(({ probe }) =>
        median === 0 ? middle : middle * Math.exp(slope * Math.tanh(Math.log(probe / median))),
      );
      return [
        keptShare(positions, (position) => selected.has(position)),
        Float32Array.from(temperatures),
      ];
    },
  },
  measures: {
    names: ["kept", "temperature"],
    compute: (ops, { columns: { share, temperature } }) => {
      invariant(share !== undefined && temperature !== undefined, "the loss is given its columns");
      const kept = ops.cast(ops.greater(share, ops.scalar(0)), "f32");
      // The mean with the share is the mean over the kept.
      return [kept, ops.mul(share, temperature)];
    },
  },
  perToken: (ops, { logits, teacher, columns }, { divergence }) => {
    const { share, temperature: given } = columns;
    invariant(
      teacher.dense !== undefined && share !== undefined && given !== undefined,
      "the loss is given dense teacher logits and its columns",
    );
    // Rows without a position have 0.
    const isGiven = ops.greater(given, ops.scalar(0));
    const temperature = ops.where(isGiven, given, ops.scalar(1));
    const inverse = ops.unsqueeze(ops.reciprocal(temperature), 1); // [n,1]
    const laws = lawsOf(ops, { u: ops.mul(teacher.dense, inverse), v: ops.mul(logits, inverse) });
    const value = divergence === "forward-kl" ? klFromTeacher(ops, laws) : klFromStudent(ops, laws);
    return ops.mul(ops.mul(share, ops.mul(temperature, temperature)), value);
  },
};

/** Before this part of the run the smoothed loss is not looked at, as in the release. */
const WARM_UP = 0.05;
const SMOOTHING = 0.99;
/** r never falls below it. */
const LEAST_RATIO = 0.1;

/** The controller after a step: r, the smoothed loss E (0 before the first step), and what E was when r was last moved, E₀ (0 before the end of
 * the warm-up). E < (1−ε)·E₀ lowers r to r·(1−σ), E > (1+ε)·E₀ raises it to r·(1+σ). */
function controlled(
  [ratio = 1, smoothed = 0, reference = 0]: readonly number[],
  step: {
    readonly value: number;
    readonly progress: number;
    readonly tolerance: number;
    readonly rate: number;
  },
): readonly [number, number, number] {
  const { value, progress, tolerance, rate } = step;
  const now = smoothed === 0 ? value : SMOOTHING * smoothed + (1 - SMOOTHING) * value;
  if (progress < WARM_UP) return [ratio, now, 0];
  if (reference === 0) return [ratio, now, now];
  if (now < reference * (1 - tolerance)) {
    return [Math.max(LEAST_RATIO, ratio * (1 - rate)), now, now];
  }
  if (now > reference * (1 + tolerance)) return [Math.min(1, ratio * (1 + rate)), now, now];
  return [ratio, now, reference];
}

/** The ⌈ratio·n⌉ positions with the largest probes; of equal ones the earlier. */
function hardest(
  positions: readonly MinibatchPosition[],
  ratio: number,
): ReadonlySet<MinibatchPosition> {
  const sorted = [...positions].sort((a, b) => b.probe - a.probe);
  return new Set(sorted.slice(0, Math.ceil(ratio * positions.length)));
}
