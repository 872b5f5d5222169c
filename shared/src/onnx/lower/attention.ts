import type { CausalAttentionOptions, Dim, Shape } from "../../tensor/tensor-ops.js";
import type { GraphTensor, NodeOf } from "../graph.js";
import type { OnnxAttributes } from "../onnx-model.js";
import type { Lowering } from "./lowering.js";

/** [B,T,H·d] → [B,H,T,d] */
export function splitHeads(lowering: Lowering, x: GraphTensor, heads: number): string {
  const [rows, positions, width] = x.shape as readonly [Dim, Dim, number];
  const split = lowering.reshape(lowering.nameOf(x), x.shape, [
    rows,
    positions,
    heads,
    width / heads,
  ]);
  return lowering.transpose(split, [0, 2, 1, 3]);
}

/** [B,H,T,d] → [B,T,H·d] */
export function mergeHeads(
  lowering: Lowering,
  value: string,
  merged: Shape,
  heads: number,
): string {
  const [rows, positions, width] = merged as readonly [Dim, Dim, number];
  const transposed = lowering.transpose(value, [0, 2, 1, 3]);
  return lowering.reshape(transposed, [rows, positions, heads, width / heads], merged);
}

export function lowerCausalAttention(
  lowering: Lowering,
  { inputs, attributes }: NodeOf<"causalAttention">,
): string {
  return lowering.emit("Attention", lowering.namesOf(inputs), {
    attributes: {
      ...causal(attributes),
      q_num_heads: { int: attributes.heads },
      kv_num_heads: { int: attributes.kvHeads },
    },
  });
}

function causal({ scale }: CausalAttentionOptions): OnnxAttributes {
  return { is_causal: { int: 1 }, scale: { float: scale } };
}

/** softmax(scale·q·kᵀ + causal mask), query heads folded onto the key head they share. */
export function lowerCausalProbabilities(
  lowering: Lowering,
  { inputs, attributes }: NodeOf<"causalProbabilities">,
): string {
  const [q, k] = inputs as readonly [GraphTensor, GraphTensor];
  const { heads, kvHeads, scale } = attributes;
  const [rows, positions, width] = q.shape as readonly [Dim, Dim, number];
  const group = heads / kvHeads;
  const d = width / heads;
  const byHead: Shape = [rows, heads, positions, d];
  const byGroup: Shape = [rows, kvHeads, group, positions, d];
  const queries = lowering.reshape(splitHeads(lowering, q, heads), byHead, byGroup);
  const keys = lowering.reshape(
    splitHeads(lowering, k, kvHeads),
    [rows, kvHeads, positions, d],
    [rows, kvHeads, 1, positions, d],
  );
  const scores = lowering.emit("FusedMatMul", [queries, keys], {
    domain: "com.microsoft",
    attributes: { transB: { int: 1 }, alpha: { float: scale } },
  });
  const masked = lowering.emit("Add", [scores, causalMask(lowering, positions)]);
  const probabilities = lowering.emit("Softmax", [masked], { attributes: { axis: { int: -1 } } });
  return lowering.reshape(
    probabilities,
    [rows, kvHeads, group, positions, positions],
    [rows, heads, positions, positions],
  );
}

/** [T,T]: 0 where the key is not behind the query, −∞ elsewhere. */
function causalMask(lowering: Lowering, positions: Dim): string {
  const zero = lowering.constant("i64", [], BigInt64Array.of(0n));
  const one = lowering.constant("i64", [], BigInt64Array.of(1n));
  const count = lowering.emit("Squeeze", [lowering.size(positions)]);
  const range = lowering.emit("Range", [zero, count, one]);
  const column = lowering.emit("Unsqueeze", [range, lowering.ints([1])]);
  const visible = lowering.emit("LessOrEqual", [range, column]);
  return lowering.emit("Where", [visible, lowering.float(0), lowering.float(-Infinity)]);
}

/** CPU: TensorScatter into the slots (in place when fed and fetched buffer are one), then Attention over the valid part. */
export function lowerSlotAttention(
  lowering: Lowering,
  { inputs, attributes }: NodeOf<"slotAttention">,
): readonly string[] {
  const [q, k, v, keySlots, valueSlots, starts] = inputs as readonly [
    GraphTensor,
    GraphTensor,
    GraphTensor,
    GraphTensor,
    GraphTensor,
    GraphTensor,
  ];
  const { heads, kvHeads } = attributes;
  const scatter = (slots: GraphTensor, update: GraphTensor): string =>
    lowering.emit("TensorScatter", [
      lowering.nameOf(slots),
      splitHeads(lowering, update, kvHeads),
      lowering.nameOf(starts),
    ]);
  const keys = scatter(keySlots, k);
  const values = scatter(valueSlots, v);
  const lengths = lowering.emit("Add", [lowering.nameOf(starts), lowering.size(q.shape[1] as Dim)]);
  const queries = splitHeads(lowering, q, heads);
  const output = lowering.emit("Attention", [queries, keys, values, "", "", "", lengths], {
    attributes: causal(attributes),
  });
  return [mergeHeads(lowering, output, q.shape, heads), keys, values];
}
