import { invariant } from "@tandem/shared/errors/invariant.js";
import { fillNormal } from "@tandem/shared/numeric/normal-numbers.js";
import { rngKeyOf } from "@tandem/shared/numeric/hash32.js";
import { z } from "zod";
import { atomLaws, bounded, klFromTeacher } from "./atoms.js";
import type { LossDefinition, MinibatchPosition } from "./loss-definition.js";
import { scheduleMinimum, scheduleSchema } from "./schedule.js";
import { signalPart } from "./signal-part.js";

const options = z.strictObject({
  topK: z
    .int()
    .min(1)
    .max(64)
    .default(32)
    .describe("size of the teacher's top list; the rest is one bucket, with its mass as it is"),
  temperature: scheduleSchema
    .refine((schedule) => scheduleMinimum(schedule) >= 1, "must be at least 1")
    .default({ kind: "constant", value: 10 })
    .describe("of the list at a position that is surely private; 1 at one that surely is not"),
  noise: z
    .number()
    .min(0)
    .default(2)
    .describe("standard deviation of what is added to the list's logits at a private position"),
  gap: z
    .number()
    .default(2)
    .describe(
      "nats by which the teacher knows a token better than the student where it is private with probability ½",
    ),
  width: z.number().positive().default(0.5).describe("nats over which that probability rises"),
  privateIds: z
    .array(z.int().min(0))
    .default([])
    .describe("tokens that are always private, such as digits"),
  seed: z.int().min(0).max(0xffffffff).default(0).describe("of the noise"),
});

type SwingOptions = z.output<typeof options>;

/** KL(p̃‖q): p̃ is the teacher's law with its list at temperature 1 + (temperature − 1)·π and noise·π·N(0,1) on its logits, π the probability
 * that the token is private, so that what the teacher learnt by heart is taught blurred.
 * π = σ((log p(token) − log q(token) − gap)/width) before the step, 1 for `privateIds`: what the teacher knows and the student
 * cannot guess. The noise is counted by row of the data and position: it is the same in every epoch, and does not average out.
 * Source: Swing Distillation (arXiv 2212.08349), abstract: a temperature for each token by the probability that it is private, and noise in
 * the soft targets. All functions are our reading. */
export const swing: LossDefinition<SwingOptions> = {
  name: "swing",
  summary: "forward KL with softer, noisy targets where a token seems private",
  source: "Swing Distillation, arXiv 2212.08349 (abstract)",
  options,
  requires: ({ topK, temperature }) => ({
    signal: { topK, token: true },
    scalars: { temperature },
  }),
  probe: (ops, { logits, targets }) => {
    const own = ops.squeeze(ops.takeAlongAxis(logits, ops.unsqueeze(targets, 1), 1), 1);
    return ops.sub(own, ops.logSumExp(logits, 1));
  },
  columns: {
    names: ({ topK }) => ["private", ...noiseNames(topK)],
    compute: (positions, chosen) => [
      Float32Array.from(positions, (position) => privacy(position, chosen)),
      ...noiseColumns(positions, chosen),
    ],
  },
  measures: {
    names: ["private"],
    compute: (_, { columns }) => [columns["private"]!],
  },
  perToken: (ops, inputs, chosen) => {
    const { private: probability, ...noise } = inputs.columns;
    const { temperature } = inputs.scalars;
    invariant(
      probability !== undefined && temperature !== undefined,
      "the loss is given its columns and its schedule",
    );
    const laws = atomLaws(ops, inputs, {
      ...chosen,
      dense: false,
      temperature: { kind: "constant", value: 1 },
    });
    const { ids, logTail } = inputs.teacher.top!;
    const listed = ids.shape[1] as number;
    const pi = ops.unsqueeze(probability, 1); // [n,1]
    const heat = ops.add(ops.scalar(1), ops.mul(pi, ops.sub(temperature, ops.scalar(1))));
    const columns = noiseNames(Math.min(chosen.topK, listed)).map((name) =>
      ops.unsqueeze(noise[name]!, 1),
    );
    // Another loss may have asked for a longer list: what is behind ours stays without noise.
    const drawn = ops.pad(ops.concat(columns, 1), 1, 0, listed - columns.length); // [n,k]
    const list = bounded(ops, ops.slice(laws.teacher, 1, 0, listed));
    const blurred = ops.logSoftmax(ops.add(ops.div(list, heat), ops.mul(pi, drawn)), 1);
    if (laws.teacher.shape[1] === listed) {
      return klFromTeacher(ops, { ...laws, teacher: blurred });
    }
    const mass = ops.reduceSum(ops.exp(list), { axes: [1], keepDims: true }); // of the list
    const teacher = ops.concat([ops.add(blurred, ops.log(mass)), ops.unsqueeze(logTail, 1)], 1);
    return klFromTeacher(ops, { ...laws, teacher });
  },
};

function noiseNames(topK: number): readonly string[] {
  return Array.from({ length: topK }, (_, at) => `noise.${at}`);
}

function privacy(
  { signal, row, probe, token }: MinibatchPosition,
  { gap, width, privateIds }: SwingOptions,
): number {
  if (privateIds.includes(token)) return 1;
  const logit = signalPart(signal?.tokenLogit, "the token's logit")[row]!;
  const lse = signalPart(signal?.lse, "a top list")[row]!;
  return 1 / (1 + Math.exp((gap - (logit - lse - probe)) / width));
}

/** For each place of the list an array with a number per position. */
function noiseColumns(
  positions: readonly MinibatchPosition[],
  { topK, noise, seed }: SwingOptions,
): readonly Float32Array[] {
  const columns = noiseNames(topK).map(() => new Float32Array(positions.length));
  const own = new Float32Array(topK);
  positions.forEach(({ dataRow, row }, at) => {
    fillNormal(own, { std: noise, seed: (seed ^ rngKeyOf(0, dataRow, 0)) >>> 0, tensor: row });
    columns.forEach((column, place) => (column[at] = own[place]!));
  });
  return columns;
}
