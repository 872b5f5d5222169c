import { invariant } from "@tandem/shared/errors/invariant.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import { z } from "zod";
import type { LossDefinition, LossParameter } from "./loss-definition.js";
import type { ModelSizes } from "./model-sizes.js";

const options = z.strictObject({
  pairs: z
    .array(z.tuple([z.int(), z.int()]))
    .min(1)
    .default([[-1, -1]])
    .describe(
      "layers to compare, [student, teacher] each: 0 is the embedding's output, 1 the first block's, −1 the last's",
    ),
  distance: z
    .enum(["mse", "cosine"])
    .default("mse")
    .describe("mse: mean squared difference; cosine: 1 − cosine of the angle between both"),
  projection: z
    .enum(["per-pair", "shared", "none"])
    .default("per-pair")
    .describe(
      "a linear map of the student's state to the teacher's width, learnt and thrown away: one each, one for all, or none (equal widths)",
    ),
});

type HiddenOptions = z.output<typeof options>;

/** Mean over pairs of the distance between W·h_student and h_teacher: MSE as in FitNets (arXiv 1412.6550) and TinyBERT
 * (arXiv 1909.10351), or the cosine of DistilBERT (arXiv 1910.01108). Per position; W has no bias. */
export const hiddenStates: LossDefinition<HiddenOptions> = {
  name: "hidden-states",
  summary: "distance of projected hidden states of chosen layers",
  source: "FitNets, arXiv 1412.6550; DistilBERT, arXiv 1910.01108",
  options,
  requires: (chosen, sizes) => {
    const pairs = pairsOf(chosen, sizes);
    return {
      signal: { hiddenLayers: [...new Set(pairs.map(([, teacher]) => teacher))] },
      studentLayers: [...new Set(pairs.map(([student]) => student))],
    };
  },
  parameters: (chosen, sizes) => {
    const { student, teacher } = sizes;
    if (chosen.projection === "none") {
      assertEqualWidths(sizes);
      return {};
    }
    const count = chosen.projection === "shared" ? 1 : pairsOf(chosen, sizes).length;
    return Object.fromEntries(
      Array.from({ length: count }, (_, at) => [
        `projection.${at}`,
        projectionParameter(student.width, teacher.width),
      ]),
    );
  },
  perToken: (ops, inputs, chosen) => {
    const pairs = pairsOf(chosen, inputs.sizes);
    const distances = pairs.map(([student, teacher], at) => {
      const state = layerOf(inputs.studentLayers, student);
      const target = layerOf(inputs.teacher.hidden, teacher); // [n,D_T]
      const weight = inputs.parameters[`projection.${chosen.projection === "shared" ? 0 : at}`];
      const own = weight === undefined ? state : ops.matmul(state, weight); // [n,D_T]
      return chosen.distance === "mse"
        ? squaredError(ops, own, target)
        : cosineDistance(ops, own, target);
    });
    return meanOf(ops, distances);
  },
};

/** W [from,to]: the variance of a state survives it. */
export function projectionParameter(from: number, to: number): LossParameter {
  return { shape: [from, to], initial: { std: 1 / Math.sqrt(from) } };
}

export function layerOf<T>(layers: ReadonlyMap<number, T> | undefined, index: number): T {
  const state = layers?.get(index);
  invariant(state !== undefined, `the loss is given the hidden states of layer ${index}`);
  return state;
}

/** Mean over the width of (a − b)², f32 [n]. */
export function squaredError<T extends Tensor>(ops: TensorOps<T>, a: T, b: T): T {
  const gap = ops.sub(a, b);
  return ops.reduceMean(ops.mul(gap, gap), { axes: [1] });
}

/** Of several [n]. */
export function meanOf<T extends Tensor>(ops: TensorOps<T>, values: readonly T[]): T {
  const sum = values.reduce((total, value) => ops.add(total, value));
  return ops.mul(sum, ops.scalar(1 / values.length));
}

/** Added to a squared norm: two zero vectors are at distance 1, without a gradient. */
const NORM_FLOOR = 1e-12;

function cosineDistance<T extends Tensor>(ops: TensorOps<T>, a: T, b: T): T {
  const unit = (x: T): T => {
    const squares = ops.reduceSum(ops.mul(x, x), { axes: [1], keepDims: true });
    return ops.div(x, ops.sqrt(ops.add(squares, ops.scalar(NORM_FLOOR))));
  };
  return ops.sub(ops.scalar(1), ops.reduceSum(ops.mul(unit(a), unit(b)), { axes: [1] }));
}

function pairsOf(
  { pairs }: HiddenOptions,
  { student, teacher }: ModelSizes,
): readonly (readonly [number, number])[] {
  return pairs.map(([own, other]) => [
    toLayer(own, student.layers, "student"),
    toLayer(other, teacher.layers, "teacher"),
  ]);
}

/** A layer as it was chosen, those below 0 counted from the end.
 * @throws TandemError INVALID_ARGUMENT for a layer that the model does not have. */
export function toLayer(index: number, layers: number, whose: "student" | "teacher"): number {
  const layer = index < 0 ? layers + 1 + index : index;
  if (layer >= 0 && layer <= layers) return layer;
  throw new TandemError(
    "INVALID_ARGUMENT",
    `a loss compares layer ${index} of the ${whose}, which has 0 (embedding) to ${layers}`,
    { field: "losses", limit: layers },
  );
}

function assertEqualWidths({ student, teacher }: ModelSizes): void {
  if (student.width === teacher.width) return;
  throw new TandemError(
    "INVALID_ARGUMENT",
    `hidden-states without projection compares states of equal width; the student's have ${student.width}, the teacher's ${teacher.width}: choose a projection`,
    { field: "losses.projection" },
  );
}
