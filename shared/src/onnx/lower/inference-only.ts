import type { InferenceOpName } from "../../tensor/op-attributes.js";
import type { Dim } from "../../tensor/tensor-ops.js";
import type { GraphTensor, NodeOf } from "../graph.js";
import type { OnnxAttributes } from "../onnx-model.js";
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

/** Rows shorter than this are sorted through as they are. */
const LONG_ROW = 4096;

/** The k largest of a row lie in the k blocks with the largest maxima, so only these are sorted through, in half the time. Blocks are taken in the order of
 * their ids and `TopK` prefers the first of equals: so of equal values the lowest ids are found, as without blocks. */
function lowerTopK(lowering: Lowering, { inputs }: NodeOf<"topKDynamic">): readonly string[] {
  const [x, k] = inputs as readonly [GraphTensor, GraphTensor];
  const [rows, width] = x.shape as readonly [Dim, Dim];
  const topK = (value: string, count: string, options: OnnxAttributes = {}) =>
    lowering.emitAll("TopK", [value, count], 2, {
      attributes: { axis: { int: -1 }, ...options },
    }) as [string, string];
  const block = x.shape.length === 2 && typeof width === "number" ? blockOf(width) : undefined;
  if (block === undefined) return topK(lowering.nameOf(x), lowering.nameOf(k));
  const count = (width as number) / block;
  const blocks = lowering.reshape(lowering.nameOf(x), x.shape, [rows, count, block]);
  const maxima = lowering.emit("ReduceMax", [blocks, lowering.ints([2])], {
    attributes: { keepdims: { int: 0 } },
  }); // [n,blocks]
  const kept = lowering.emit("Min", [lowering.nameOf(k), lowering.ints([count])]);
  const [, largest] = topK(maxima, kept);
  const [inOrder] = topK(largest, kept, { largest: { int: 0 } }); // [n,c]
  const candidates = lowering.emit(
    "GatherND",
    [blocks, lowering.emit("Unsqueeze", [inOrder, lowering.ints([2])])],
    { attributes: { batch_dims: { int: 1 } } },
  ); // [n,c,block]
  const flat = lowering.emit("Reshape", [candidates, lowering.ints([0, -1])]);
  const [values, places] = topK(flat, lowering.nameOf(k));
  const size = lowering.ints([block]);
  const owner = lowering.emit("GatherElements", [inOrder, lowering.emit("Div", [places, size])], {
    attributes: { axis: { int: 1 } },
  });
  const begin = lowering.emit("Mul", [owner, size]);
  return [values, lowering.emit("Add", [begin, lowering.emit("Mod", [places, size])])];
}

/** The widest block of 16 to 64 that divides a long row. */
function blockOf(width: number): number | undefined {
  if (width < LONG_ROW) return undefined;
  for (let block = 64; block >= 16; block--) if (width % block === 0) return block;
  return undefined;
}

export const inferenceOnlyLowering = {
  slotAttention: lowerSlotAttention,
  topKDynamic: lowerTopK,
  countGreater: lowerCountGreater,
} satisfies LowerRules<InferenceOpName>;
