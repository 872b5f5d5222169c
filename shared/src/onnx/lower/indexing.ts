import type { IndexingOpName } from "../../tensor/op-attributes.js";
import type { GraphTensor } from "../graph.js";
import type { LowerRules } from "./lower-rule.js";

const axisAttribute = (axis: number): { readonly axis: { readonly int: number } } => ({
  axis: { int: axis },
});

export const indexingLowering = {
  // Rows of a half-precision table are widened after they are chosen: the whole table in float32 would be a second copy of it.
  gather: (lowering, { inputs, attributes }) => {
    const [x, ids] = inputs as readonly [GraphTensor, GraphTensor];
    const half = lowering.halfOf(x);
    const rows = lowering.emit("Gather", [half ?? lowering.nameOf(x), lowering.nameOf(ids)], {
      attributes: axisAttribute(attributes.axis),
    });
    return half === undefined ? rows : lowering.widen(rows);
  },
  takeAlongAxis: (lowering, { inputs, attributes }) =>
    lowering.emit("GatherElements", lowering.namesOf(inputs), {
      attributes: axisAttribute(attributes.axis),
    }),
  // Not ScatterND: with `add` it updates equal ids from several threads at once and loses some (onnxruntime 1.30, seen).
  scatterAlongAxis: (lowering, { inputs, attributes }) =>
    lowering.emit("ScatterElements", lowering.namesOf(inputs), {
      attributes: {
        ...axisAttribute(attributes.axis),
        reduction: { string: attributes.reduction },
      },
    }),
  topK: (lowering, { inputs, attributes }) => {
    const { k, axis } = attributes;
    const x = lowering.nameOf(inputs[0] as GraphTensor);
    const [values, places] = lowering.emitAll("TopK", [x, lowering.ints([k])], 2, {
      attributes: axisAttribute(axis),
    }) as [string, string];
    lowering.noteLargest(x, axis, { values, places });
    return [values, places];
  },
} satisfies LowerRules<IndexingOpName>;
