import type { InferenceOpName } from "../../tensor/op-attributes.js";
import type { GraphTensor, NodeOf } from "../graph.js";
import { TENSOR_DATA_TYPE } from "../onnx-proto.js";
import { lowerSlotAttention } from "./attention.js";
import type { LowerRules } from "./lower-rule.js";
import type { Lowering } from "./lowering.js";

function lowerCountGreater(lowering: Lowering, { inputs }: NodeOf<"countGreater">): string {
  const [x, threshold, largest] = inputs as readonly [GraphTensor, GraphTensor, GraphTensor?];
  const values = lowering.nameOf(x);
  const limit = lowering.nameOf(threshold);
  const count =
    largest === undefined
      ? emitCount(lowering, values, limit)
      : emitCountFromList(lowering, { values, limit, list: lowering.nameOf(largest) });
  return lowering.emit("Cast", [count], { attributes: { to: { int: TENSOR_DATA_TYPE.i64 } } });
}

/** Counted in f32, exact below 2²⁴; ReduceSum over i64 is slower. */
function emitCount(lowering: Lowering, values: string, limit: string): string {
  const column = lowering.emit("Unsqueeze", [limit, lowering.ints([-1])]);
  const above = lowering.emit("Greater", [values, column]);
  const ones = lowering.emit("Cast", [above], {
    attributes: { to: { int: TENSOR_DATA_TYPE.f32 } },
  });
  return lowering.emit("ReduceSum", [ones, lowering.ints([-1])], {
    attributes: { keepdims: { int: 0 } },
  });
}

/** What is above a limit that is no smaller than the list's last entry is in the list; only the other rows are looked through. */
function emitCountFromList(
  lowering: Lowering,
  { values, limit, list }: { values: string; limit: string; list: string },
): string {
  const last = lowering.emit(
    "Gather",
    [list, lowering.constant("i64", [], BigInt64Array.of(-1n))],
    {
      attributes: { axis: { int: 1 } },
    },
  );
  const outside = lowering.emit("NonZero", [lowering.emit("Less", [limit, last])]); // [1,m]
  const rows = lowering.emit("Squeeze", [outside, lowering.ints([0])]);
  const pick = (source: string): string =>
    lowering.emit("Gather", [source, rows], { attributes: { axis: { int: 0 } } });
  // Without rows, ReduceSum returns a shape of its own.
  const full = lowering.emit("Reshape", [
    emitCount(lowering, pick(values), pick(limit)),
    lowering.emit("Shape", [rows]),
  ]);
  return lowering.emit("ScatterElements", [emitCount(lowering, list, limit), rows, full], {
    attributes: { axis: { int: 0 } },
  });
}

export const inferenceOnlyLowering = {
  slotAttention: lowerSlotAttention,
  topKDynamic: (lowering, { inputs }) =>
    lowering.emitAll("TopK", lowering.namesOf(inputs), 2, { attributes: { axis: { int: -1 } } }),
  countGreater: lowerCountGreater,
  narrow: (lowering, { inputs }) =>
    lowering.emit("Slice", [...lowering.namesOf(inputs), lowering.ints([0])]),
} satisfies LowerRules<InferenceOpName>;
