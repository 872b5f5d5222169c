import { invariant } from "@tandem/shared/errors/invariant.js";
import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import { z } from "zod";
import { isImpossible, isPossible } from "./centred-logits.js";
import { PUBLISHED_SETTINGS, publishedPhi, publishedPsi } from "./continuation-schedules.js";
import { crossEntropy } from "./cross-entropy.js";
import { agreedIds } from "./agreed-ids.js";
import type { LossDefinition, LossInputs } from "./loss-definition.js";
import { scheduleMaximum, scheduleMinimum, scheduleSchema } from "./schedule.js";

const fraction = scheduleSchema.refine(
  (schedule) => scheduleMinimum(schedule) >= 0 && scheduleMaximum(schedule) <= 1,
  "must stay within 0 … 1",
);

const options = z.strictObject({
  phi: z
    .union([fraction, z.enum(PUBLISHED_SETTINGS).transform(publishedPhi)])
    .default({ kind: "linear", from: 0, to: 1, start: 0, end: 1 })
    .describe("φ, the scale of the teacher's logits and of the margin; cifar, glue: the paper's"),
  psi: z
    .union([fraction, z.enum(PUBLISHED_SETTINGS).transform(publishedPsi)])
    .default({ kind: "linear", from: 0, to: 1, start: 0, end: 1 })
    .describe("ψ, the weight of cross-entropy with the token; cifar, glue: the paper's"),
  margin: z.number().min(0).default(0).describe("m; the paper gives no value"),
  norm: z
    .enum(["mean", "sum"])
    .default("mean")
    .describe(
      "squared differences: mean or sum over ids; the paper leaves it open, m is in its unit",
    ),
  centred: z
    .boolean()
    .default(true)
    .describe("compare logits minus their mean: a softmax head's offset means nothing"),
  support: z
    .enum(["dense", "top-k-approximation"])
    .default("dense")
    .describe(
      "dense: all V ids; otherwise the teacher's and the student's best k, which is an approximation",
    ),
  k: z.int().min(1).default(32).describe("size of each list of the approximation"),
});

type ContinuationOptions = z.output<typeof options>;

/** ψ·CE + (1−ψ)·max(0, ‖v − φ·u‖² − m·φ): the position's whole squared error is under the hinge.
 * Source: Jafari et al. 2022 (Continuation-KD, arXiv 2212.05998); m = 0 with a step as ψ is Annealing-KD (Jafari et al. 2021). */
export const continuationKd: LossDefinition<ContinuationOptions> = {
  name: "continuation-kd",
  summary: "hinge on the squared error to the teacher's scaled logits, turning into cross-entropy",
  source: "Continuation-KD, arXiv 2212.05998",
  options,
  readWith: { k: { option: "support", values: ["top-k-approximation"] } },
  requires: ({ phi, psi, support, k }) => ({
    signal: support === "dense" ? { dense: "f32" } : { topK: k, moments: true },
    ...(support === "dense" ? {} : { studentTopK: k }),
    scalars: { phi, psi },
    ...(scheduleMaximum(psi) > 0 && { text: { labels: "set its psi to 0" } }),
  }),
  perToken: (ops, inputs, chosen) => {
    const { phi, psi } = inputs.scalars;
    invariant(phi !== undefined && psi !== undefined, "the loss is given its schedules");
    const compare = chosen.support === "dense" ? denseError : listedError;
    const { sum, count } = compare(ops, inputs, { phi, centred: chosen.centred, k: chosen.k });
    const error = chosen.norm === "sum" ? sum : ops.div(sum, ops.maximum(count, ops.scalar(1)));
    const hinge = ops.relu(ops.sub(error, ops.mul(phi, ops.scalar(chosen.margin))));
    const labels = crossEntropy.perToken(ops, inputs, { of: "all" });
    return ops.add(ops.mul(psi, labels), ops.mul(ops.sub(ops.scalar(1), psi), hinge));
  },
};

interface SquaredError<T> {
  /** Σ (v − φ·u)² over the ids that are compared, f32 [n]. */
  readonly sum: T;
  /** How many they are, f32 [n]. */
  readonly count: T;
}

interface Comparison<T> {
  readonly phi: T;
  readonly centred: boolean;
  readonly k: number;
}

/** Over all ids with a finite teacher logit. With g = v − φ·u, 0 elsewhere: ∂/∂v = 2·g, and centred 2·(g − Σg/V). */
function denseError<T extends Tensor>(
  ops: TensorOps<T>,
  { logits, teacher }: LossInputs<T>,
  { phi, centred }: Comparison<T>,
): SquaredError<T> {
  invariant(teacher.dense !== undefined, "a dense loss is given dense teacher logits");
  const counted = isPossible(ops, teacher.dense); // [n,V]
  const overIds = { axes: [1], keepDims: true };
  const u = ops.mul(ops.maximum(teacher.dense, ops.scalar(-1e30)), counted);
  const count = ops.reduceSum(counted, overIds); // [n,1]
  const all = ops.sub(logits, ops.mul(phi, u));
  const meanU = ops.div(ops.reduceSum(u, overIds), ops.maximum(count, ops.scalar(1)));
  const offset = ops.sub(ops.reduceMean(logits, overIds), ops.mul(phi, meanU));
  const gap = ops.mul(centred ? ops.sub(all, offset) : all, counted);
  const slope = centred ? ops.sub(gap, ops.reduceMean(gap, overIds)) : gap;
  const sum = ops.reduceSum(ops.mul(gap, gap), { axes: [1] });
  return {
    sum: ops.withGradient(sum, logits, ops.mul(slope, ops.scalar(2))),
    count: ops.squeeze(count, 1),
  };
}

/** Over the union of both sides' lists, centred by the mean over the whole vocabulary, which the signal's moments give for the teacher. */
function listedError<T extends Tensor>(
  ops: TensorOps<T>,
  inputs: LossInputs<T>,
  { phi, centred, k }: Comparison<T>,
): SquaredError<T> {
  const { moments } = inputs.teacher;
  invariant(moments !== undefined, "the loss is given the teacher's mean logit");
  const list = agreedIds(ops, inputs, { k, dense: false });
  const infinite = isImpossible(ops, moments.mean);
  const mean = ops.where(infinite, ops.scalar(0), moments.mean); // [n]
  const own = ops.reduceMean(inputs.logits, { axes: [1], keepDims: true }); // [n,1]
  const v = centred ? ops.sub(list.student, own) : list.student;
  const u = centred ? ops.sub(list.teacher, ops.unsqueeze(mean, 1)) : list.teacher;
  const gap = ops.where(list.valid, ops.sub(v, ops.mul(phi, u)), ops.scalar(0)); // [n,m]
  return {
    sum: ops.reduceSum(ops.mul(gap, gap), { axes: [1] }),
    count: ops.reduceSum(ops.cast(list.valid, "f32"), { axes: [1] }),
  };
}
