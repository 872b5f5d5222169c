import type { InferenceOpName } from "../../tensor/op-attributes.js";
import type { GraphTensor } from "../graph.js";
import { TENSOR_DATA_TYPE } from "../onnx-proto.js";
import { lowerSlotAttention } from "./attention.js";
import type { LowerRules } from "./lower-rule.js";

export const inferenceOnlyLowering = {
  slotAttention: lowerSlotAttention,
  topKDynamic: (lowering, { inputs }) =>
    lowering.emitAll("TopK", lowering.namesOf(inputs), 2, { attributes: { axis: { int: -1 } } }),
  countGreater: (lowering, { inputs }) => {
    const [x, threshold] = inputs as readonly [GraphTensor, GraphTensor];
    const limit = lowering.emit("Unsqueeze", [lowering.nameOf(threshold), lowering.ints([-1])]);
    const above = lowering.emit("Greater", [lowering.nameOf(x), limit]);
    // Counted in f32, exact below 2²⁴; ReduceSum over i64 is slower.
    const ones = lowering.emit("Cast", [above], {
      attributes: { to: { int: TENSOR_DATA_TYPE.f32 } },
    });
    const count = lowering.emit("ReduceSum", [ones, lowering.ints([-1])], {
      attributes: { keepdims: { int: 0 } },
    });
    return lowering.emit("Cast", [count], { attributes: { to: { int: TENSOR_DATA_TYPE.i64 } } });
  },
} satisfies LowerRules<InferenceOpName>;
