import { invariant } from "@tandem/shared/errors/invariant.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import { z } from "zod";
import { layerOf, toLayer } from "./hidden-states.js";
import type { LossDefinition } from "./loss-definition.js";
import type { ModelSizes } from "./model-sizes.js";

const options = z.strictObject({
  heads: z
    .int()
    .min(1)
    .default(8)
    .describe("A, relation heads: both widths are cut into so many, whatever attention has"),
  studentLayer: z.int().default(-1).describe("−1 is the last block's output, 0 the embedding's"),
  teacherLayer: z.int().default(-1).describe("the same of the teacher"),
  normalised: z
    .boolean()
    .default(true)
    .describe(
      "divide states by their root mean square first: a residual stream's size would make every relation certain",
    ),
});

type RelationOptions = z.output<typeof options>;

/** (1/A)·Σ_a KL(softmax(X_T·X_Tᵀ/√d)_t ‖ softmax(X_S·X_Sᵀ/√d)_t) over the response's positions, X a slice of width d of the hidden states:
 * how positions relate to each other, whatever the widths; nothing is learnt beside the student.
 * Source: Wang et al. 2021 (MiniLMv2, arXiv 2012.15828), who take queries, keys and values; here the hidden states that they come from. */
export const hiddenRelations: LossDefinition<RelationOptions> = {
  name: "hidden-relations",
  summary: "KL of the relations between positions, from hidden states",
  source: "MiniLMv2, arXiv 2012.15828",
  options,
  requires: (chosen, sizes) => {
    const { student, teacher } = layersOf(chosen, sizes);
    assertHeads(chosen.heads, sizes);
    return {
      signal: { hiddenLayers: [teacher] },
      studentLayers: [student],
      keepsSequences: true,
    };
  },
  perToken: (ops, { studentLayers, teacher, places, sizes }, chosen) => {
    invariant(places !== undefined, "the loss is given the places of its positions");
    const layers = layersOf(chosen, sizes);
    const { sequence } = places;
    const together = ops.equal(ops.unsqueeze(sequence, 1), ops.unsqueeze(sequence, 0)); // [n,n]
    const p = relations(ops, layerOf(teacher.hidden, layers.teacher), { ...chosen, together });
    const q = relations(ops, layerOf(studentLayers, layers.student), { ...chosen, together });
    const kl = ops.reduceSum(ops.mul(ops.exp(p), ops.sub(p, q)), { axes: [2] }); // [A,n]
    return ops.reduceMean(kl, { axes: [0] });
  },
};

/** Stands for −∞ where positions belong to different sequences. */
const APART = -1e9;

/** Log-probabilities f32 [A,n,n]: of each position over the positions of its sequence. */
function relations<T extends Tensor>(
  ops: TensorOps<T>,
  state: T,
  { heads, normalised, together }: RelationOptions & { readonly together: T },
): T {
  const width = state.shape[1] as number;
  const x = normalised ? ops.mul(state, ops.inverseRms(state, 1e-6)) : state; // [n,D]
  const split = ops.reshape(x, [state.shape[0]!, heads, width / heads]);
  const perHead = ops.transpose(split, [1, 0, 2]); // [A,n,d]
  const scale = ops.scalar(Math.sqrt(heads / width));
  const products = ops.mul(ops.matmul(perHead, perHead, { transB: true }), scale); // [A,n,n]
  return ops.logSoftmax(ops.where(together, products, ops.scalar(APART)), 2);
}

function layersOf(
  { studentLayer, teacherLayer }: RelationOptions,
  { student, teacher }: ModelSizes,
): { readonly student: number; readonly teacher: number } {
  return {
    student: toLayer(studentLayer, student.layers, "student"),
    teacher: toLayer(teacherLayer, teacher.layers, "teacher"),
  };
}

function assertHeads(heads: number, { student, teacher }: ModelSizes): void {
  if (student.width % heads === 0 && teacher.width % heads === 0) return;
  throw new TandemError(
    "INVALID_ARGUMENT",
    `hidden-relations cuts widths ${student.width} (student) and ${teacher.width} (teacher) into ${heads} heads; choose a divisor of both`,
    { field: "losses.heads" },
  );
}
