import type { GraphTensor } from "@tandem/shared/onnx/graph.js";
import { dimProduct } from "@tandem/shared/tensor/dim.js";
import type { IndexingOpName } from "@tandem/shared/tensor/op-attributes.js";
import type { GradientRules, RuleContext } from "../gradient-rule.js";
import { operand, zeros } from "../gradient-rule.js";

/** Adds the rows of g to zeros at their ids: ids are repeated over the rows' elements, because that is how scatterAlongAxis takes them. */
function scatterRows({ ops, node, gradient }: RuleContext<"gather">): GraphTensor {
  const { axis } = node.attributes;
  const [x, ids] = [operand(node, 0), operand(node, 1)];
  const flat = ops.reshape(gradient, x.shape.with(axis, dimProduct(ids.shape)));
  const column = x.shape.map((_, at) => (at === axis ? dimProduct(ids.shape) : 1));
  const repeated = ops.expand(ops.reshape(ids, column), flat.shape);
  return ops.scatterAlongAxis(zeros(ops, gradient, x.shape), repeated, flat, axis, "add");
}

export const indexingGradients = {
  gather: (context) => [scatterRows(context), undefined],
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
    return [ops.scatterAlongAxis(base, indices, gradient, node.attributes.axis, "add")];
  },
} satisfies GradientRules<IndexingOpName>;
