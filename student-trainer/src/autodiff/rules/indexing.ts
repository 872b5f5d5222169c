import type { GraphTensor } from "@tandem/shared/onnx/graph.js";
import type { IndexingOpName } from "@tandem/shared/tensor/op-attributes.js";
import type { Dim } from "@tandem/shared/tensor/tensor-ops.js";
import type { GradientRules } from "../gradient-rule.js";
import { operand, zeros } from "../gradient-rule.js";

export const indexingGradients = {
  gather: ({ ops, node, gradient }) => {
    const { axis } = node.attributes;
    const size = operand(node).shape[axis] as Dim;
    return [ops.gatherGradient(gradient, operand(node, 1), axis, size), undefined];
  },
  gatherGradient: ({ ops, node, gradient }) => [
    ops.gather(gradient, operand(node, 1), node.attributes.axis),
    undefined,
  ],
  takeAlongAxis: ({ ops, node, gradient }) => {
    const base = zeros(ops, gradient, operand(node).shape);
    const ids = operand(node, 1);
    return [ops.scatterAlongAxis(base, ids, gradient, node.attributes.axis, "add"), undefined];
  },
  // With `none`, equal ids overwrite each other in no fixed order: only distinct ids have a gradient.
  scatterAlongAxis: ({ ops, node, gradient }) => {
    const { axis, reduction } = node.attributes;
    const ids = operand(node, 1);
    const byUpdates = ops.takeAlongAxis(gradient, ids, axis);
    if (reduction === "add") return [gradient, undefined, byUpdates];
    const none = zeros(ops, gradient, ids.shape);
    return [ops.scatterAlongAxis(gradient, ids, none, axis, "none"), undefined, byUpdates];
  },
  topK: ({ ops, node, gradient }) => {
    const indices = node.outputs[1] as GraphTensor;
    const base = zeros(ops, gradient, operand(node).shape);
    return [ops.scatterAlongAxis(base, indices, gradient, node.attributes.axis, "none")];
  },
} satisfies GradientRules<IndexingOpName>;
