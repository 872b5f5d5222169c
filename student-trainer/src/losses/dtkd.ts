import { invariant, unreachable } from "@tandem/shared/errors/invariant.js";
import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import { z } from "zod";
import { klFromTeacher, listedLaws } from "./atoms.js";
import { centredLogits, meanLogit } from "./centred-logits.js";
import { equalSharpness, type TemperaturePair } from "./equal-sharpness.js";
import type {
  LossDefinition,
  LossInputs,
  PositionMoments,
  TemperedTensors,
} from "./loss-definition.js";
import { scheduleAt, scheduleMinimum, scheduleSchema } from "./schedule.js";
import { temperedKl } from "./tempered-kl.js";

const options = z
  .strictObject({
    mode: z
      .enum(["released", "detached", "solved"])
      .default("detached")
      .describe(
        "released: T = 2x/(x+y)·τ with gradient through the student's y; detached: without; solved: equal sharpness by bisection, without",
      ),
    temperature: scheduleSchema
      .refine((schedule) => scheduleMinimum(schedule) > 0, "must be positive")
      .default({ kind: "constant", value: 4 })
      .describe("τ, the mean of both temperatures; a schedule with all V logits only"),
    alpha: z.number().min(0).default(3).describe("weight of the term with dynamic temperatures"),
    beta: z.number().min(0).default(1).describe("weight of the term with τ on both sides"),
    centred: z
      .boolean()
      .default(true)
      .describe(
        "subtract each side's mean logit first; without, the temperatures depend on the heads' arbitrary offsets",
      ),
    floor: z
      .number()
      .positive()
      .lt(1)
      .default(0.25)
      .describe("no temperature goes below floor·τ; where it would, both no longer add up to 2τ"),
    dense: z
      .boolean()
      .default(true)
      .describe(
        "use all V teacher logits; otherwise a top list at temperatures that are fixed when the text is scored",
      ),
    topK: z
      .int()
      .min(1)
      .default(64)
      .describe("size of the teacher's top list without dense; the rest is one bucket, exact"),
  })
  .refine(({ dense, mode, centred }) => dense || (mode === "detached" && centred), {
    path: ["dense"],
    message:
      "without all logits only detached, centred temperatures are exact: they are fixed when the text is scored; set mode: detached, centred: true, or dense: true",
  })
  .refine(({ dense, temperature }) => dense || temperature.kind === "constant", {
    path: ["temperature"],
    message:
      "without all logits temperatures are fixed when the text is scored; give a number, or dense: true",
  })
  .refine(({ mode, centred }) => mode !== "solved" || centred, {
    path: ["centred"],
    message: "solved compares centred logits; leave centred at true",
  });

/** α·T_t·T_s·KL(softmax(u/T_t) ‖ softmax(v/T_s)) + β·τ²·KL(softmax(u/τ) ‖ softmax(v/τ)); T_t = 2x/(x+y)·τ, T_s = 2y/(x+y)·τ,
 * x = max u, y = max v: the sharper side gets the higher temperature. T_t = T_s = τ where both sides are uniform.
 * `solved` takes τ ± δ with equal sharpness instead (`equalSharpness`).
 * Source: Wei & Bai 2024 (DTKD, arXiv 2404.12711) and its release. By the authors' erratum the closed form is not the minimiser of the
 * stated bound, but a heuristic; it was not validated on language models. The paper's warm-up is a schedule of this loss's weight. */
export const dtkd: LossDefinition<z.output<typeof options>> = {
  name: "dtkd",
  summary: "forward KL at temperatures that equalise the sharpness of both sides",
  source: "DTKD, arXiv 2404.12711",
  options,
  requires: (chosen) => {
    const { temperature: fixed } = chosen;
    if (chosen.dense) return { signal: { dense: "f32" }, scalars: { temperature: fixed } };
    return {
      signal: { topK: chosen.topK },
      ...(chosen.beta > 0 && { taus: { fixed } }),
      positionTaus: {
        teacher: (moments) => temperaturesAt(moments, chosen).teacher,
        student: (moments) => temperaturesAt(moments, chosen).student,
      },
    };
  },
  measures: {
    names: ["teacherTemperature", "studentTemperature"],
    compute: (ops, inputs, chosen) => {
      if (chosen.dense) {
        const { sides, temperature } = denseInputs(inputs);
        const pair = pairOf(ops, sides, { ...chosen, temperature });
        return [ops.squeeze(pair.teacher, 1), ops.squeeze(pair.student, 1)];
      }
      const { teacher, student } = inputs.teacher.tempered;
      invariant(teacher !== undefined && student !== undefined, "a tempered list");
      return [teacher.tau, student.tau];
    },
  },
  perToken: (ops, inputs, chosen) => (chosen.dense ? denseLoss : listedLoss)(ops, inputs, chosen),
};

type DtkdOptions = z.output<typeof options>;

function denseInputs<T>({ logits, teacher, scalars: { temperature } }: LossInputs<T>) {
  invariant(
    teacher.dense !== undefined && temperature !== undefined,
    "a dense loss is given dense teacher logits and its temperature",
  );
  return { sides: { u: teacher.dense, v: logits }, temperature };
}

function denseLoss<T extends Tensor>(
  ops: TensorOps<T>,
  inputs: LossInputs<T>,
  { mode, alpha, beta, centred, floor }: DtkdOptions,
): T {
  const { sides, temperature } = denseInputs(inputs);
  const pair = pairOf(ops, sides, { mode, temperature, centred, floor });
  const byTemperatures = mode === "released";
  const dynamic = ops.mul(
    ops.squeeze(ops.mul(pair.teacher, pair.student), 1),
    temperedKl(ops, sides, pair, { byTemperatures }),
  );
  if (beta === 0) return ops.mul(dynamic, ops.scalar(alpha));
  const tau = ops.broadcastTo(temperature, pair.student);
  const both = { teacher: tau, student: tau };
  const fixed = temperedKl(ops, sides, both, { byTemperatures: false });
  return ops.add(
    ops.mul(dynamic, ops.scalar(alpha)),
    ops.mul(fixed, ops.mul(ops.mul(temperature, temperature), ops.scalar(beta))),
  );
}

/** The same with temperatures that came with the signal. */
function listedLoss<T extends Tensor>(
  ops: TensorOps<T>,
  { logits, teacher: { top, tempered } }: LossInputs<T>,
  { temperature, alpha, beta }: DtkdOptions,
): T {
  const { teacher, student, fixed } = tempered;
  invariant(top !== undefined && teacher !== undefined && student !== undefined, "a tempered list");
  const divergence = (of: TemperedTensors<T>, studentTau: T): T => {
    invariant(of.logTail !== undefined, "a list comes with its tail");
    const u = ops.div(top.logits, ops.unsqueeze(of.tau, 1)); // [n,k]
    const student = { v: logits, inverse: ops.unsqueeze(ops.reciprocal(studentTau), 1) };
    const { lse, logTail } = of;
    return klFromTeacher(ops, listedLaws(ops, student, { ids: top.ids, u, lse, logTail }));
  };
  const factor = ops.mul(ops.mul(teacher.tau, student.tau), ops.scalar(alpha));
  const dynamic = ops.mul(factor, divergence(teacher, student.tau));
  if (fixed === undefined) return dynamic;
  return ops.add(
    dynamic,
    ops.mul(divergence(fixed, fixed.tau), ops.scalar(beta * scheduleAt(temperature, 0) ** 2)),
  );
}

/** `sharedByMaxima` of one position; τ twice where a mean is not known (a teacher with impossible ids). */
function temperaturesAt(
  { teacher, student }: PositionMoments,
  { temperature: constant, floor }: Pick<DtkdOptions, "temperature" | "floor">,
): { readonly teacher: number; readonly student: number } {
  const temperature = scheduleAt(constant, 0);
  const [x, y] = [teacher.max - teacher.mean, student.max - student.mean];
  const sum = x + y;
  if (!Number.isFinite(sum) || sum < 1e-6) return { teacher: temperature, student: temperature };
  const of = (maximum: number): number =>
    Math.max(floor * temperature, ((2 * maximum) / sum) * temperature);
  return { teacher: of(x), student: of(y) };
}

interface Logits<T> {
  /** The teacher's and the student's, f32 [n,V]. */
  readonly u: T;
  readonly v: T;
}

interface PairOptions<T> {
  readonly mode: "released" | "detached" | "solved";
  /** τ, f32 scalar. */
  readonly temperature: T;
  readonly centred: boolean;
  readonly floor: number;
}

function pairOf<T extends Tensor>(
  ops: TensorOps<T>,
  { u, v }: Logits<T>,
  options: PairOptions<T>,
): TemperaturePair<T> {
  switch (options.mode) {
    case "released":
      return sharedByMaxima(ops, { u, v }, options);
    case "detached":
      return sharedByMaxima(ops, { u, v: ops.stopGradient(v) }, options);
    case "solved": {
      const constant = ops.stopGradient(v);
      const own = ops.sub(constant, ops.reduceMean(constant, { axes: [1], keepDims: true }));
      return equalSharpness(ops, { u: centredLogits(ops, u), v: own }, options);
    }
    default:
      return unreachable(options.mode);
  }
}

/** 2x/(x+y)·τ and 2y/(x+y)·τ, f32 [n,1]; τ twice where x + y = 0. */
function sharedByMaxima<T extends Tensor>(
  ops: TensorOps<T>,
  { u, v }: Logits<T>,
  { temperature: tau, centred, floor }: PairOptions<T>,
): TemperaturePair<T> {
  const each = { axes: [1], keepDims: true };
  const [largestU, largestV] = [ops.reduceMax(u, each), ops.reduceMax(v, each)];
  const x = centred ? ops.sub(largestU, meanLogit(ops, u)) : largestU;
  const y = centred ? ops.sub(largestV, ops.reduceMean(v, each)) : largestV;
  const sum = ops.add(x, y);
  const flat = ops.less(ops.abs(sum), ops.scalar(1e-6));
  const unit = ops.div(ops.mul(tau, ops.scalar(2)), ops.where(flat, ops.scalar(1), sum));
  const lowest = ops.mul(tau, ops.scalar(floor));
  const temperatureOf = (maximum: T): T =>
    ops.maximum(ops.where(flat, tau, ops.mul(maximum, unit)), lowest);
  return { teacher: temperatureOf(x), student: temperatureOf(y) };
}
