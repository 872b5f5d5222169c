import type { CompoundOpName } from "../../tensor/op-attributes.js";
import type { Dim } from "../../tensor/tensor-ops.js";
import type { GraphTensor, NodeOf } from "../graph.js";
import { lowerCausalAttention, lowerCausalProbabilities } from "./attention.js";
import type { LowerRules } from "./lower-rule.js";
import type { Lowering } from "./lowering.js";
import { lowerQuantizedMatmul } from "./quantized-matmul.js";

function lowerMatmul(
  lowering: Lowering,
  { inputs, outputs, attributes }: NodeOf<"matmul">,
): string {
  const [x, b] = inputs as readonly [GraphTensor, GraphTensor];
  const weight = lowering.quantizedOf(b);
  if (weight !== undefined)
    return lowerQuantizedMatmul(lowering, { x, weight, y: outputs[0] as GraphTensor });
  const operands = lowering.namesOf(inputs);
  const { transA, transB } = attributes;
  if (!transA && !transB) return lowering.emit("MatMul", operands);
  const flags = { transA: { int: transA ? 1 : 0 }, transB: { int: transB ? 1 : 0 } };
  if (inputs.every((input) => input.shape.length === 2)) {
    return lowering.emit("Gemm", operands, { attributes: flags });
  }
  return lowering.emit("FusedMatMul", operands, { domain: "com.microsoft", attributes: flags });
}

/** max(x) − max(log softmax(x)): LogSoftmax is ten times faster than ReduceLogSumExp on CPU. Where the gradient needs
 * the softmax, that is computed once: max(x) − log max(softmax(x)), whose largest entry is never tiny. Where the largest values have been
 * looked for, both maxima are known. */
function lowerLogSumExp(lowering: Lowering, { inputs, attributes }: NodeOf<"logSumExp">): string {
  const x = lowering.nameOf(inputs[0] as GraphTensor);
  const axes = lowering.ints([attributes.axis]);
  const axis = { attributes: { axis: { int: attributes.axis } } };
  const maximum = (value: string): string =>
    lowering.emit("ReduceMax", [value, axes], { attributes: { keepdims: { int: 0 } } });
  if (!lowering.needs("softmax", inputs, attributes)) {
    return lowering.emit("Sub", [maximum(x), maximum(lowering.emit("LogSoftmax", [x], axis))]);
  }
  const softmax = lowering.emit("Softmax", [x], axis);
  const known = lowering.largestOf(x, attributes.axis);
  if (known === undefined) {
    return lowering.emit("Sub", [maximum(x), lowering.emit("Log", [maximum(softmax)])]);
  }
  const first = (value: string): string =>
    lowering.emit("Slice", [value, lowering.ints([0]), lowering.ints([1]), axes]);
  const likeliest = lowering.emit("GatherElements", [softmax, first(known.places)], axis);
  const sum = lowering.emit("Sub", [first(known.values), lowering.emit("Log", [likeliest])]);
  return lowering.emit("Squeeze", [sum, axes]);
}

/** Where the gradient needs 1/√(mean(x²)+eps), it comes as the second result of SimplifiedLayerNormalization,
 * onnxruntime's own form of RMSNormalization. */
function lowerRmsNorm(lowering: Lowering, { inputs, attributes }: NodeOf<"rmsNorm">): string {
  const [x] = inputs as readonly [GraphTensor];
  const operands = lowering.namesOf(inputs);
  const options = { attributes: { axis: { int: -1 }, epsilon: { float: attributes.eps } } };
  if (!lowering.needs("inverseRms", [x], attributes)) {
    return lowering.emit("RMSNormalization", operands, options);
  }
  const [y, inverse] = lowering.emitAll("SimplifiedLayerNormalization", operands, 2, options);
  lowering.offer("inverseRms", [x], { attributes, value: inverse as string });
  return y as string;
}

function lowerInverseRms(lowering: Lowering, node: NodeOf<"inverseRms">): string {
  const offered = lowering.offered(node);
  if (offered !== undefined) return offered;
  const value = lowering.nameOf(node.inputs[0] as GraphTensor);
  const squares = lowering.emit("Mul", [value, value]);
  const mean = lowering.emit("ReduceMean", [squares, lowering.ints([-1])], {
    attributes: { keepdims: { int: 1 } },
  });
  const shifted = lowering.emit("Add", [mean, lowering.float(node.attributes.eps)]);
  return lowering.emit("Reciprocal", [lowering.emit("Sqrt", [shifted])]);
}

/** RotaryEmbedding over [B,T,H·d] with tables [B,T,d/2]. */
function lowerRotary(lowering: Lowering, { inputs, attributes }: NodeOf<"rotary">): string {
  const [x, cos, sin] = inputs as readonly [GraphTensor, GraphTensor, GraphTensor];
  const [positions, half] = cos.shape as readonly [Dim, Dim];
  const rows = x.shape.length === 3 ? (x.shape[0] as Dim) : 1;
  const batched = [rows, positions, x.shape.at(-1) as Dim];
  const table = (source: GraphTensor): string =>
    lowering.emit("Expand", [lowering.nameOf(source), lowering.shape([rows, positions, half])]);
  const values = lowering.reshape(lowering.nameOf(x), x.shape, batched);
  const rotated = lowering.emit("RotaryEmbedding", [values, table(cos), table(sin)], {
    attributes: { num_heads: { int: attributes.heads } },
  });
  return lowering.reshape(rotated, batched, x.shape);
}

export const compoundLowering = {
  matmul: lowerMatmul,
  softmax: (lowering, { inputs, attributes }) =>
    lowering.emit("Softmax", lowering.namesOf(inputs), {
      attributes: { axis: { int: attributes.axis } },
    }),
  logSoftmax: (lowering, { inputs, attributes }) =>
    lowering.emit("LogSoftmax", lowering.namesOf(inputs), {
      attributes: { axis: { int: attributes.axis } },
    }),
  logSumExp: lowerLogSumExp,
  rmsNorm: lowerRmsNorm,
  inverseRms: lowerInverseRms,
  layerNorm: (lowering, { inputs, attributes }) =>
    lowering.emit("LayerNormalization", lowering.namesOf(inputs), {
      attributes: { axis: { int: -1 }, epsilon: { float: attributes.eps } },
    }),
  rotary: lowerRotary,
  causalAttention: lowerCausalAttention,
  causalProbabilities: (lowering, { inputs, attributes }) => {
    const [q, k] = inputs as readonly [GraphTensor, GraphTensor];
    return lowerCausalProbabilities(lowering, [q, k], attributes);
  },
} satisfies LowerRules<CompoundOpName>;
