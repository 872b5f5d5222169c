import { dimProduct } from "../../tensor/dim.js";
import type { IndexingOpName } from "../../tensor/op-attributes.js";
import type { Dim } from "../../tensor/tensor-ops.js";
import type { GraphTensor, NodeOf } from "../graph.js";
import type { LowerRules } from "./lower-rule.js";
import type { Lowering } from "./lowering.js";

const axisAttribute = (axis: number): { readonly axis: { readonly int: number } } => ({
  axis: { int: axis },
});

/** Rows added into zeros with ScatterND, after the chosen axis has been moved to the front. */
function lowerGatherGradient(lowering: Lowering, node: NodeOf<"gatherGradient">): string {
  const { axis, size } = node.attributes;
  const [updates, ids] = node.inputs as readonly [GraphTensor, GraphTensor];
  const before = updates.shape.slice(0, axis);
  const after = updates.shape.slice(axis + ids.shape.length);
  const idsAxes = ids.shape.map((_, index) => axis + index);
  const beforeAxes = before.map((_, index) => index);
  const afterAxes = after.map((_, index) => axis + ids.shape.length + index);
  const permutation = [...idsAxes, ...beforeAxes, ...afterAxes];
  const moved =
    axis === 0
      ? lowering.nameOf(updates)
      : lowering.transpose(lowering.nameOf(updates), permutation);
  const rows = dimProduct(ids.shape);
  const flatShape: readonly Dim[] = [rows, ...before, ...after];
  const movedShape = permutation.map((at) => updates.shape[at] as Dim);
  const flat = lowering.reshape(moved, movedShape, flatShape);
  const flatIds = lowering.reshape(lowering.nameOf(ids), ids.shape, [rows, 1]);
  const resultShape: readonly Dim[] = [size, ...before, ...after];
  const zeros = lowering.emit("Expand", [
    lowering.float(0, updates.dtype),
    lowering.shape(resultShape),
  ]);
  const sum = lowering.emit("ScatterND", [zeros, flatIds, flat], {
    attributes: { reduction: { string: "add" } },
  });
  if (axis === 0) return sum;
  const back = [...beforeAxes.map((at) => at + 1), 0, ...after.map((_, at) => axis + 1 + at)];
  return lowering.transpose(sum, back);
}

export const indexingLowering = {
  gather: (lowering, { inputs, attributes }) =>
    lowering.emit("Gather", lowering.namesOf(inputs), {
      attributes: axisAttribute(attributes.axis),
    }),
  gatherGradient: lowerGatherGradient,
  takeAlongAxis: (lowering, { inputs, attributes }) =>
    lowering.emit("GatherElements", lowering.namesOf(inputs), {
      attributes: axisAttribute(attributes.axis),
    }),
  scatterAlongAxis: (lowering, { inputs, attributes }) =>
    lowering.emit("ScatterElements", lowering.namesOf(inputs), {
      attributes: {
        ...axisAttribute(attributes.axis),
        reduction: { string: attributes.reduction },
      },
    }),
  topK: (lowering, { inputs, attributes }) => {
    const operands = [...lowering.namesOf(inputs), lowering.ints([attributes.k])];
    return lowering.emitAll("TopK", operands, 2, { attributes: axisAttribute(attributes.axis) });
  },
} satisfies LowerRules<IndexingOpName>;
