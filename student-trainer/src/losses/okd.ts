import { invariant } from "@tandem/shared/errors/invariant.js";
import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import { z } from "zod";
import { atomLaws, bounded, klFromTeacher, total } from "./atoms.js";
import { layerOf, projectionParameter, toLayer } from "./hidden-states.js";
import type { LossDefinition, LossInputs } from "./loss-definition.js";

const options = z.strictObject({
  topK: z
    .int()
    .min(1)
    .default(64)
    .describe(
      "size of the teacher's top list, on which the module corrects; the rest is one bucket",
    ),
  dense: z.boolean().default(false).describe("correct all V logits: small vocabularies only"),
  rank: z.int().min(1).default(8).describe("r, of the module's two matrices"),
  layer: z
    .int()
    .default(-1)
    .describe(
      "of the teacher, whose hidden state the module reads: −1 the last, 0 the embedding's",
    ),
  labels: z
    .number()
    .min(0)
    .default(1)
    .describe(
      "weight of the module's cross-entropy with the token; 0 on text that the student wrote",
    ),
  towardsStudent: z
    .number()
    .min(0)
    .default(1)
    .describe(
      "weight of KL(p′‖q) for the module: how far it goes towards what the student can say",
    ),
  anchor: z
    .number()
    .min(0)
    .default(1)
    .describe("weight of KL(p‖p′) for the module: how far it stays with the teacher"),
});

type OkdOptions = z.output<typeof options>;

/** KL(sg p′‖q) for the student, and for the module labels·CE(p′, token) + towardsStudent·KL(p′‖sg q) + anchor·KL(p‖p′), where
 * p′ = softmax(u + h·A·B): u the teacher's logits, h its hidden state (divided by its root mean square), A·B of rank r, B zero at first.
 * The module is learnt beside the student, from what the frozen teacher streams: the server stays as it is.
 * Source: OKD (arXiv 2409.12512), abstract: a small online module of the teacher, updated together with the student. Module, losses and
 * weights are our reading. */
export const okd: LossDefinition<OkdOptions> = {
  name: "okd",
  summary: "forward KL to a teacher that a low-rank module adapts to the student as it learns",
  source: "OKD, arXiv 2409.12512 (abstract)",
  options,
  requires: ({ dense, topK, layer, labels }, { teacher }) => ({
    signal: {
      ...(dense ? { dense: "f32" } : { topK }),
      hiddenLayers: [toLayer(layer, teacher.layers, "teacher")],
    },
    ...(labels > 0 && { text: { labels: "set its labels to 0" } }),
  }),
  parameters: ({ rank }, { teacher, vocabulary }) => ({
    down: projectionParameter(teacher.width, rank),
    up: { shape: [vocabulary, rank], initial: { std: 0 } },
  }),
  perToken: (ops, inputs, chosen) => {
    const laws = atomLaws(ops, inputs, { ...chosen, temperature: { kind: "constant", value: 1 } });
    const given = bounded(ops, laws.teacher); // [n,A]
    const moved = ops.logSoftmax(ops.add(given, correction(ops, inputs, chosen)), 1);
    const student = ops.stopGradient(laws.student);
    const terms = [
      klFromTeacher(ops, { ...laws, teacher: ops.stopGradient(moved) }),
      weighted(ops, chosen.labels, tokenLoss(ops, inputs, moved, chosen)),
      weighted(ops, chosen.towardsStudent, kl(ops, moved, student)),
      weighted(ops, chosen.anchor, kl(ops, given, moved)),
    ];
    return terms.reduce((sum, term) => ops.add(sum, term));
  },
};

/** What the module adds to the logits of the atoms, f32 [n,A]; nothing to the bucket. */
function correction<T extends Tensor>(
  ops: TensorOps<T>,
  { logits, teacher, parameters, sizes }: LossInputs<T>,
  { dense, layer }: OkdOptions,
): T {
  const { down, up } = parameters;
  invariant(down !== undefined && up !== undefined, "the loss is given its module");
  const h = layerOf(teacher.hidden, toLayer(layer, sizes.teacher.layers, "teacher")); // [n,D_T]
  const code = ops.matmul(ops.mul(h, ops.inverseRms(h, 1e-6)), down); // [n,r]
  if (dense) return ops.matmul(code, up, { transB: true }); // [n,V]
  const ids = teacher.top!.ids; // [n,k]
  const rows = ops.gather(up, ids, 0); // [n,k,r]
  const listed = ops.reduceSum(ops.mul(rows, ops.unsqueeze(code, 1)), { axes: [2] }); // [n,k]
  return ids.shape[1] === logits.shape[1] ? listed : ops.pad(listed, 1, 0, 1);
}

/** −log p′(token), f32 [n]; of a token outside the list that of the bucket. */
function tokenLoss<T extends Tensor>(
  ops: TensorOps<T>,
  { logits, targets, teacher }: LossInputs<T>,
  moved: T,
  { dense }: OkdOptions,
): T {
  const target = ops.unsqueeze(targets, 1);
  if (dense) return ops.neg(ops.squeeze(ops.takeAlongAxis(moved, target, 1), 1));
  const ids = teacher.top!.ids;
  const isToken = ops.cast(ops.equal(ids, target), "f32"); // [n,k]
  const bucket = ops.sub(ops.scalar(1), ops.reduceSum(isToken, { axes: [1], keepDims: true }));
  const complete = ids.shape[1] === logits.shape[1];
  const chosen = complete ? isToken : ops.concat([isToken, bucket], 1); // [n,A]
  return ops.neg(ops.reduceSum(ops.mul(chosen, moved), { axes: [1] }));
}

/** KL(a‖b) of log-probabilities, with the gradient of both. */
function kl<T extends Tensor>(ops: TensorOps<T>, a: T, b: T): T {
  return total(ops, ops.mul(ops.exp(a), ops.sub(a, b)));
}

function weighted<T extends Tensor>(ops: TensorOps<T>, weight: number, value: T): T {
  return ops.mul(value, ops.scalar(weight));
}
