import type { ElementwiseOpName } from "@tandem/shared/tensor/op-attributes.js";
import type { GraphTensor } from "@tandem/shared/onnx/graph.js";
import type { GradientRules, GraphOps } from "../gradient-rule.js";
import { noGradient, operand, result, scalarLike } from "../gradient-rule.js";

const condition = noGradient("a condition is constant almost everywhere");

/** g where the condition holds, 0 elsewhere. */
function only(ops: GraphOps, mask: GraphTensor, g: GraphTensor): GraphTensor {
  return ops.where(mask, g, scalarLike(ops, g, 0));
}

/** The maximum's or minimum's gradient goes to the side that was taken, to `a` at a tie. */
function split(ops: GraphOps, takesA: GraphTensor, g: GraphTensor): readonly GraphTensor[] {
  const zero = scalarLike(ops, g, 0);
  return [ops.where(takesA, g, zero), ops.where(takesA, zero, g)];
}

export const elementwiseGradients = {
  add: ({ gradient: g }) => [g, g],
  sub: ({ ops, gradient: g }) => [g, ops.neg(g)],
  mul: ({ ops, node, gradient: g }) => [ops.mul(g, operand(node, 1)), ops.mul(g, operand(node, 0))],
  div: ({ ops, node, gradient: g }) => {
    const byA = ops.div(g, operand(node, 1));
    return [byA, ops.neg(ops.mul(byA, result(node)))];
  },
  maximum: ({ ops, node, gradient: g }) =>
    split(ops, ops.greaterEqual(operand(node, 0), operand(node, 1)), g),
  minimum: ({ ops, node, gradient: g }) =>
    split(ops, ops.greaterEqual(operand(node, 1), operand(node, 0)), g),
  neg: ({ ops, gradient: g }) => [ops.neg(g)],
  exp: ({ ops, node, gradient: g }) => [ops.mul(g, result(node))],
  log: ({ ops, node, gradient: g }) => [ops.div(g, operand(node))],
  sqrt: ({ ops, node, gradient: g }) => {
    return [ops.div(ops.mul(g, scalarLike(ops, g, 0.5)), result(node))];
  },
  reciprocal: ({ ops, node, gradient: g }) => {
    const y = result(node);
    return [ops.neg(ops.mul(g, ops.mul(y, y)))];
  },
  abs: ({ ops, node, gradient: g }) => {
    const x = operand(node);
    const zero = scalarLike(ops, g, 0);
    const below = ops.where(ops.less(x, zero), ops.neg(g), zero);
    return [ops.where(ops.greater(x, zero), g, below)];
  },
  tanh: ({ ops, node, gradient: g }) => {
    const y = result(node);
    return [ops.mul(g, ops.sub(scalarLike(ops, g, 1), ops.mul(y, y)))];
  },
  sigmoid: ({ ops, node, gradient: g }) => {
    const y = result(node);
    return [ops.mul(g, ops.mul(y, ops.sub(scalarLike(ops, g, 1), y)))];
  },
  erf: ({ ops, node, gradient: g }) => {
    const x = operand(node);
    const density = ops.exp(ops.neg(ops.mul(x, x)));
    return [ops.mul(ops.mul(g, density), scalarLike(ops, g, 2 / Math.sqrt(Math.PI)))];
  },
  sin: ({ ops, node, gradient: g }) => [ops.mul(g, ops.cos(operand(node)))],
  cos: ({ ops, node, gradient: g }) => [ops.neg(ops.mul(g, ops.sin(operand(node))))],
  relu: ({ ops, node, gradient: g }) => {
    const x = operand(node);
    return [only(ops, ops.greater(x, scalarLike(ops, x, 0)), g)];
  },
  // d/dx x·σ(x) = σ + y·(1−σ)
  silu: ({ ops, node, gradient: g }) => {
    const sigmoid = ops.sigmoid(operand(node));
    const rest = ops.mul(result(node), ops.sub(scalarLike(ops, g, 1), sigmoid));
    return [ops.mul(g, ops.add(sigmoid, rest))];
  },
  gelu: ({ ops, node, gradient: g }) => {
    const x = operand(node);
    const slope = node.attributes.approximate === "erf" ? exactGeluSlope : tanhGeluSlope;
    return [ops.mul(g, slope(ops, x))];
  },
  greater: condition,
  greaterEqual: condition,
  less: condition,
  equal: condition,
  logicalAnd: condition,
  logicalOr: condition,
  logicalNot: condition,
  where: ({ ops, node, gradient: g }) => [undefined, ...split(ops, operand(node, 0), g)],
  cast: ({ ops, node, gradient: g }) => [ops.cast(g, operand(node).dtype)],
  withGradient: ({ ops, node, gradient: g }) => {
    return [undefined, ops.mul(ops.unsqueeze(g, -1), operand(node, 2)), undefined];
  },
  stopGradient: noGradient("this is what stopGradient is for"),
} satisfies GradientRules<ElementwiseOpName>;

/** Φ(x) + x·φ(x) */
function exactGeluSlope(ops: GraphOps, x: GraphTensor): GraphTensor {
  const number = (value: number): GraphTensor => scalarLike(ops, x, value);
  const erf = ops.erf(ops.mul(x, number(Math.SQRT1_2)));
  const law = ops.mul(ops.add(erf, number(1)), number(0.5));
  const exponent = ops.mul(ops.mul(x, x), number(-0.5));
  const density = ops.mul(ops.exp(exponent), number(1 / Math.sqrt(2 * Math.PI)));
  return ops.add(law, ops.mul(x, density));
}

/** d/dx ½x(1+t), t = tanh(c(x + 0.044715x³)), c = √(2/π) */
function tanhGeluSlope(ops: GraphOps, x: GraphTensor): GraphTensor {
  const number = (value: number): GraphTensor => scalarLike(ops, x, value);
  const c = Math.sqrt(2 / Math.PI);
  const square = ops.mul(x, x);
  const cubic = ops.add(ops.mul(square, number(0.044715 * c)), number(c));
  const t = ops.tanh(ops.mul(x, cubic));
  const half = ops.mul(ops.add(t, number(1)), number(0.5));
  const inner = ops.add(ops.mul(square, number(3 * 0.044715 * c)), number(c));
  const slope = ops.mul(ops.sub(number(1), ops.mul(t, t)), inner);
  return ops.add(half, ops.mul(ops.mul(x, number(0.5)), slope));
}
