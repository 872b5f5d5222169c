import type { GraphTensor } from "@tandem/shared/onnx/graph.js";
import { addDims, subtractDims } from "@tandem/shared/tensor/dim.js";
import type { ShapeOpName } from "@tandem/shared/tensor/op-attributes.js";
import type { Dim } from "@tandem/shared/tensor/tensor-ops.js";
import type { GradientRules } from "../gradient-rule.js";
import { noGradient, operand } from "../gradient-rule.js";

function sizeAlong(x: GraphTensor, axis: number): Dim {
  return x.shape[axis] as Dim;
}

export const shapeGradients = {
  reshape: ({ ops, node, gradient }) => [ops.reshape(gradient, operand(node).shape)],
  transpose: ({ ops, node, gradient }) => {
    const { permutation } = node.attributes;
    return [
      ops.transpose(
        gradient,
        permutation.map((_, axis) => permutation.indexOf(axis)),
      ),
    ];
  },
  slice: ({ ops, node, gradient }) => {
    const { axis, start, end } = node.attributes;
    const behind = subtractDims(sizeAlong(operand(node), axis), end);
    return [ops.pad(gradient, axis, start, behind)];
  },
  pad: ({ ops, node, gradient }) => {
    const { axis, before } = node.attributes;
    const end = addDims(before, sizeAlong(operand(node), axis));
    return [ops.slice(gradient, axis, before, end)];
  },
  concat: ({ ops, node, gradient }) => {
    const { axis } = node.attributes;
    let start: Dim = 0;
    return node.inputs.map((x) => {
      const end = addDims(start, sizeAlong(x, axis));
      const part = ops.slice(gradient, axis, start, end);
      start = end;
      return part;
    });
  },
  // The walk sums over the repeated axes.
  expand: ({ gradient }) => [gradient],
  sizeOf: noGradient("a size has no inputs"),
} satisfies GradientRules<ShapeOpName>;
