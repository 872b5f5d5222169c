import type { GraphTensor } from "@tandem/shared/onnx/graph.js";
import type { TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import type { CaseInput, OpCase } from "./op-case.js";
import { floats, floatsOf } from "./op-case.js";

type Xs = readonly [GraphTensor, GraphTensor, GraphTensor];
type Build = (ops: TensorOps<GraphTensor>, xs: Xs) => GraphTensor;

function of(name: string, inputs: OpCase["inputs"], build: Build): OpCase {
  return { name, inputs, build: (ops, xs) => build(ops, xs as Xs) };
}

const flags = [false, true].flatMap((transA) => {
  return [false, true].map((transB) => ({ transA, transB }));
});

const matmulCases = flags.flatMap(({ transA, transB }): OpCase[] => {
  const label = `matmul${transA ? " aᵀ" : ""}${transB ? " bᵀ" : ""}`;
  const b = transB ? [2, 3] : [3, 2];
  const build: Build = (ops, [x, y]) => ops.matmul(x, y, { transA, transB });
  return [
    of(`${label}, matrices`, [floats(transA ? [3, "N"] : ["N", 3]), floats(b, 40)], build),
    of(
      `${label}, a weight`,
      [floats(transA ? ["B", 3, "T"] : ["B", "T", 3]), floats(b, 40)],
      build,
    ),
    of(
      `${label}, batches`,
      [floats(transA ? ["B", 1, 3, "T"] : ["B", 1, "T", 3]), floats([2, ...b], 40)],
      build,
    ),
  ];
});

const softmaxNames = ["softmax", "logSoftmax", "logSumExp"] as const;
const masked = floatsOf(["B", 3], [0.5, -Infinity, 1, -Infinity, -Infinity, -0.3]);

const softmaxCases = softmaxNames.flatMap((op): OpCase[] => [
  of(`${op}, the last axis`, [floats(["B", "T", 4])], (ops, [x]) => ops[op](x, -1)),
  of(`${op}, a middle axis`, [floats(["B", "T", 4])], (ops, [x]) => ops[op](x, 1)),
  of(`${op}, large logits`, [floats(["N", 4], 1, (x) => 300 * x)], (ops, [x]) => ops[op](x, -1)),
]);

const maskedCases: readonly OpCase[] = [
  of("logSumExp with −∞", [masked], (ops, [x]) => ops.logSumExp(x, -1)),
  of("softmax with −∞", [masked], (ops, [x]) => ops.softmax(x, -1)),
  of("logSoftmax beside −∞", [masked], (ops, [x]) => ops.slice(ops.logSoftmax(x, -1), -1, 2, 3)),
];

function angles(shape: readonly [string, number], f: (angle: number) => number): CaseInput {
  return floats(shape, 11, (value) => f(3 * value));
}

const heads = { heads: 4, kvHeads: 2, scale: 0.6 };
const attentionInputs = [
  floats(["B", "T", 8]),
  floats(["B", "T", 4], 60),
  floats(["B", "T", 4], 90),
];

export const compoundCases: readonly OpCase[] = [
  ...matmulCases,
  ...softmaxCases,
  ...maskedCases,
  of("rmsNorm", [floats(["B", "T", 4]), floats([4], 40)], (ops, [x, w]) => ops.rmsNorm(x, w, 1e-5)),
  of("rmsNorm of small numbers", [floats(["N", 4], 1, (x) => x / 50), floats([4])], (ops, [x, w]) =>
    ops.rmsNorm(x, w, 1e-3),
  ),
  of("inverseRms", [floats(["N", 4])], (ops, [x]) => ops.inverseRms(x, 1e-5)),
  of("rmsNorm with inverseRms", [floats(["N", 4]), floats([4], 40)], (ops, [x, w]) => {
    return ops.mul(ops.rmsNorm(x, w, 1e-5), ops.inverseRms(x, 1e-5));
  }),
  of("layerNorm", [floats(["B", "T", 4]), floats([4], 40), floats([4], 80)], (ops, [x, w, b]) =>
    ops.layerNorm(x, w, b, 1e-5),
  ),
  {
    ...of(
      "rotary, packed",
      [floats(["N", 8]), angles(["N", 2], Math.cos), angles(["N", 2], Math.sin)],
      (ops, [x, cos, sin]) => ops.rotary(x, cos, sin, 2),
    ),
    wrt: [0],
  },
  {
    ...of(
      "rotary, rows of positions",
      [floats(["B", "T", 8]), angles(["T", 4], Math.cos), angles(["T", 4], Math.sin)],
      (ops, [x, cos, sin]) => ops.rotary(x, cos, sin, 1),
    ),
    wrt: [0],
  },
  of("causalAttention, grouped heads", attentionInputs, (ops, [q, k, v]) =>
    ops.causalAttention(q, k, v, heads),
  ),
  of(
    "causalAttention, equal heads",
    [floats(["B", "T", 4]), floats(["B", "T", 4], 60), floats(["B", "T", 4], 90)],
    (ops, [q, k, v]) => ops.causalAttention(q, k, v, { heads: 2, kvHeads: 2, scale: 0.7 }),
  ),
  of("causalProbabilities", attentionInputs.slice(0, 2), (ops, [q, k]) =>
    ops.causalProbabilities(q, k, heads),
  ),
];
