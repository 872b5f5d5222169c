import type { ShapeOpName } from "../../tensor/op-attributes.js";
import type { GraphTensor } from "../graph.js";
import { TENSOR_DATA_TYPE } from "../onnx-proto.js";
import type { LowerRules } from "./lower-rule.js";

export const shapeLowering = {
  reshape: (lowering, { inputs, attributes }) => {
    const [x] = inputs as readonly [GraphTensor];
    return lowering.reshape(lowering.nameOf(x), x.shape, attributes.shape);
  },
  transpose: (lowering, { inputs, attributes }) =>
    lowering.transpose(lowering.nameOf(inputs[0] as GraphTensor), attributes.permutation),
  slice: (lowering, { inputs, attributes }) =>
    lowering.emit("Slice", [
      ...lowering.namesOf(inputs),
      lowering.size(attributes.start),
      lowering.size(attributes.end),
      lowering.ints([attributes.axis]),
    ]),
  pad: (lowering, { inputs, attributes }) => {
    const [x] = inputs as readonly [GraphTensor];
    const amounts = lowering.shape([attributes.before, attributes.after]);
    const axes = lowering.ints([attributes.axis]);
    // An absent fill value is zero of x's dtype.
    return lowering.emit("Pad", [lowering.nameOf(x), amounts, "", axes]);
  },
  concat: (lowering, { inputs, attributes }) =>
    lowering.emit("Concat", lowering.namesOf(inputs), {
      attributes: { axis: { int: attributes.axis } },
    }),
  sizeOf: (lowering, { attributes }) =>
    lowering.emit("Cast", [lowering.emit("Squeeze", [lowering.size(attributes.size)])], {
      attributes: { to: { int: TENSOR_DATA_TYPE.f32 } },
    }),
  expand: (lowering, { inputs, attributes }) =>
    lowering.emit("Expand", [...lowering.namesOf(inputs), lowering.shape(attributes.shape)]),
} satisfies LowerRules<ShapeOpName>;
