import type { GraphTensor } from "@tandem/shared/onnx/graph.js";
import type { CompoundOpName } from "@tandem/shared/tensor/op-attributes.js";
import type { GradientRules, GraphOps, RuleContext } from "../gradient-rule.js";
import { operand, result } from "../gradient-rule.js";
import { attentionGradient, probabilitiesGradient } from "./attention.js";
import { inverseRmsGradient, layerNormGradient, rmsNormGradient } from "./normalization.js";

/** C = A·B with the transposed forms; the walk sums over broadcast batch axes. */
function matmulGradient({ ops, node, gradient }: RuleContext<"matmul">): readonly GraphTensor[] {
  const { transA, transB } = node.attributes;
  const [a, b] = [operand(node, 0), operand(node, 1)];
  const byA = transA
    ? ops.matmul(b, gradient, { transA: transB, transB: true })
    : ops.matmul(gradient, b, { transB: !transB });
  if (b.shape.length === 2 && !transA) {
    // One large product over all rows instead of a batch of products and a sum.
    const [rows, g] = [flatRows(ops, a), flatRows(ops, gradient)];
    return [byA, transB ? productOfColumns(ops, g, rows) : productOfColumns(ops, rows, g)];
  }
  const byB = transB
    ? ops.matmul(gradient, a, { transA: true, transB: transA })
    : ops.matmul(a, gradient, { transA: !transA });
  return [byA, byB];
}

/** pᵀ·q of p [N,A] and q [N,B]. A product that transposes its own left side is slow where that is wide (453 against 294 ms
 * for A = 49,152, B = 576 on one core): the narrower side is transposed beforehand, and the result if need be. */
function productOfColumns(ops: GraphOps, p: GraphTensor, q: GraphTensor): GraphTensor {
  const [wide, other] = [p.shape[1] as number, q.shape[1] as number];
  if (wide >= 2 * other) return transposed(ops, ops.matmul(transposed(ops, q), p));
  if (other >= 2 * wide) return ops.matmul(transposed(ops, p), q);
  return ops.matmul(p, q, { transA: true });
}

function transposed(ops: GraphOps, x: GraphTensor): GraphTensor {
  return ops.transpose(x, [1, 0]);
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
