import type { GraphTensor } from "@tandem/shared/onnx/graph.js";
import { dimProduct } from "@tandem/shared/tensor/dim.js";
import type { ReductionOpName } from "@tandem/shared/tensor/op-attributes.js";
import type { Dim, Shape } from "@tandem/shared/tensor/tensor-ops.js";
import type { GradientRules, GraphOps } from "../gradient-rule.js";
import { noGradient, operand, scalarLike, zeros } from "../gradient-rule.js";

function keptShape(shape: Shape, axes: readonly number[]): Shape {
  return shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim));
}

/** A reduction's gradient, repeated over the reduced axes. */
function spread(
  ops: GraphOps,
  g: GraphTensor,
  x: GraphTensor,
  axes: readonly number[],
): GraphTensor {
  return ops.expand(ops.reshape(g, keptShape(x.shape, axes)), x.shape);
}

/** Puts the gradient of a maximum at its first place. Several axes are reduced one by one from the last, so that
 * "first" is meant in row-major order. */
function toFirstMaximum(
  ops: GraphOps,
  x: GraphTensor,
  g: GraphTensor,
  axes: readonly number[],
): GraphTensor {
  const last = axes.at(-1);
  if (last === undefined) return ops.reshape(g, x.shape);
  const reduced = ops.reduceMax(x, { axes: [last], keepDims: true });
  const inner = toFirstMaximum(ops, reduced, g, axes.slice(0, -1));
  const place = ops.unsqueeze(ops.argmax(x, last), last);
  return ops.scatterAlongAxis(zeros(ops, g, x.shape), place, inner, last, "none");
}

export const reductionGradients = {
  reduceSum: ({ ops, node, gradient }) => [
    spread(ops, gradient, operand(node), node.attributes.axes),
  ],
  reduceMean: ({ ops, node, gradient }) => {
    const x = operand(node);
    const { axes } = node.attributes;
    const count = ops.sizeOf(dimProduct(axes.map((axis) => x.shape[axis] as Dim)));
    return [spread(ops, ops.div(gradient, ops.cast(count, gradient.dtype)), x, axes)];
  },
  reduceMax: ({ ops, node, gradient }) => [
    toFirstMaximum(ops, operand(node), gradient, node.attributes.axes),
  ],
  reduceMin: ({ ops, node, gradient }) => {
    const negated = ops.mul(operand(node), scalarLike(ops, gradient, -1));
    return [toFirstMaximum(ops, negated, gradient, node.attributes.axes)];
  },
  headSum: noGradient(
    "which ids belong to the head is constant almost everywhere, and so is its use",
  ),
  argmax: noGradient("an index is constant almost everywhere"),
  cumsum: ({ ops, node, gradient }) => [
    ops.cumsum(gradient, node.attributes.axis, !node.attributes.reverse),
  ],
} satisfies GradientRules<ReductionOpName>;
