import type { IndexingOpName } from "../../tensor/op-attributes.js";
import type { LowerRules } from "./lower-rule.js";

const axisAttribute = (axis: number): { readonly axis: { readonly int: number } } => ({
  axis: { int: axis },
});

export const indexingLowering = {
  gather: (lowering, { inputs, attributes }) =>
    lowering.emit("Gather", lowering.namesOf(inputs), {
      attributes: axisAttribute(attributes.axis),
    }),
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
    const operands = [...lowering.namesOf(inputs), lowering.ints([attributes.k])];
    return lowering.emitAll("TopK", operands, 2, { attributes: axisAttribute(attributes.axis) });
  },
} satisfies LowerRules<IndexingOpName>;
