import type { GraphTensor } from "@tandem/shared/onnx/graph.js";
import type { CompoundOpName } from "@tandem/shared/tensor/op-attributes.js";
import type { GradientRules, GraphOps, RuleContext } from "../gradient-rule.js";
import { operand, result } from "../gradient-rule.js";
import { attentionGradient, probabilitiesGradient } from "./attention.js";
import { inverseRmsGradient, layerNormGradient, rmsNormGradient } from "./normalization.js";

/** C = A·B with the transposed forms; the walk sums over broadcast batch axes. */
function matmulGradient({ ops, node, gradient }: RuleContext<"matmul">): readonly GraphTensor[] {
  const { transA, transB } = node.attributes;
  const b = operand(node, 1);
  let a = operand(node, 0);
  let g = gradient;
  const byA = transA
    ? ops.matmul(b, g, { transA: transB, transB: true })
    : ops.matmul(g, b, { transB: !transB });
  if (b.shape.length === 2 && !transA) {
    // One large product over all rows instead of a batch of products and a sum.
    a = flatRows(ops, a);
    g = flatRows(ops, g);
  }
  const byB = transB
    ? ops.matmul(g, a, { transA: true, transB: transA })
    : ops.matmul(a, g, { transA: !transA });
  return [byA, byB];
}

/** [..., m, n] → [rows, n] */
function flatRows(ops: GraphOps, x: GraphTensor): GraphTensor {
  return ops.reshape(x, [-1, ...x.shape.slice(-1)]);
}

export const compoundGradients = {
  matmul: matmulGradient,
  softmax: ({ ops, node, gradient: g }) => {
    const y = result(node);
    const axes = [node.attributes.axis];
    const mean = ops.reduceSum(ops.mul(g, y), { axes, keepDims: true });
    return [ops.mul(y, ops.sub(g, mean))];
  },
  logSoftmax: ({ ops, node, gradient: g }) => {
    const sum = ops.reduceSum(g, { axes: [node.attributes.axis], keepDims: true });
    return [ops.sub(g, ops.mul(ops.exp(result(node)), sum))];
  },
  logSumExp: ({ ops, node, gradient: g }) => {
    const { axis } = node.attributes;
    return [ops.mul(ops.softmax(operand(node), axis), ops.unsqueeze(g, axis))];
  },
  rmsNorm: rmsNormGradient,
  inverseRms: inverseRmsGradient,
  layerNorm: layerNormGradient,
  // A rotation's adjoint is the rotation back. The tables hold no parameters.
  rotary: ({ ops, node, gradient: g }) => [
    ops.rotary(g, operand(node, 1), ops.neg(operand(node, 2)), node.attributes.heads),
    undefined,
    undefined,
  ],
  causalAttention: attentionGradient,
  causalProbabilities: probabilitiesGradient,
} satisfies GradientRules<CompoundOpName>;
