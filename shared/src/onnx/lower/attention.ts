import { multiplyDims } from "../../tensor/dim.js";
import type { CausalAttentionOptions, Dim, Shape } from "../../tensor/tensor-ops.js";
import type { GraphTensor, NodeOf } from "../graph.js";
import type { OnnxAttributes } from "../onnx-model.js";
import type { Lowering } from "./lowering.js";

/** [B,T,H·d] → [B,H,T,d] */
function splitHeads(lowering: Lowering, x: GraphTensor, heads: number): string {
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
function mergeHeads(lowering: Lowering, value: string, merged: Shape, heads: number): string {
  const [rows, positions, width] = merged as readonly [Dim, Dim, number];
  const transposed = lowering.transpose(value, [0, 2, 1, 3]);
  return lowering.reshape(transposed, [rows, positions, heads, width / heads], merged);
}

/** One kernel where only the output is wanted. Where the probabilities are needed besides (for the gradient), they are
 * computed once and multiply the values. */
export function lowerCausalAttention(lowering: Lowering, node: NodeOf<"causalAttention">): string {
  const { inputs, attributes } = node;
  const [q, k, v] = inputs as readonly [GraphTensor, GraphTensor, GraphTensor];
  const { heads, kvHeads } = attributes;
  if (!lowering.needs("causalProbabilities", [q, k], attributes)) {
    return lowering.emit("Attention", lowering.namesOf(inputs), {
      attributes: {
        ...causal(attributes),
        q_num_heads: { int: heads },
        kv_num_heads: { int: kvHeads },
      },
    });
  }
  const [rows, positions, width] = q.shape as readonly [Dim, Dim, number];
  const folded = [rows, kvHeads, multiplyDims(heads / kvHeads, positions)];
  const probabilities = lowering.reshape(
    lowerCausalProbabilities(lowering, [q, k], attributes),
    [rows, heads, positions, positions],
    [...folded, positions],
  );
  const values = splitHeads(lowering, v, kvHeads);
  const output = lowering.reshape(
    lowering.emit("MatMul", [probabilities, values]),
    [...folded, width / heads],
    [rows, heads, positions, width / heads],
  );
  return mergeHeads(lowering, output, q.shape, heads);
}

function causal({ scale }: CausalAttentionOptions): OnnxAttributes {
  return { is_causal: { int: 1 }, scale: { float: scale } };
}

/** softmax(scale·q·kᵀ + causal mask), query heads folded onto the key head they share. */
export function lowerCausalProbabilities(
  lowering: Lowering,
  [q, k]: readonly [GraphTensor, GraphTensor],
  { heads, kvHeads, scale }: CausalAttentionOptions,
): string {
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

/** CPU: TensorScatter of the new positions into the slots, then Attention over the valid part. Slots that are not fetched are
 * updated in a scratch copy of one layer, which stays in the cache and costs little beside reading the slots at all. */
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
  const scatter = (slots: GraphTensor, update: GraphTensor): string =>
    lowering.emit("TensorScatter", lowering.namesOf([slots, update, starts]), {
      attributes: { axis: { int: 1 } },
    });
  const keys = scatter(keySlots, k);
  const values = scatter(valueSlots, v);
  const lengths = lowering.emit("Add", [lowering.nameOf(starts), lowering.size(q.shape[1] as Dim)]);
  const output = lowering.emit(
    "Attention",
    [lowering.nameOf(q), keys, values, "", "", "", lengths],
    {
      attributes: {
        ...causal(attributes),
        q_num_heads: { int: attributes.heads },
        kv_num_heads: { int: attributes.kvHeads },
      },
    },
  );
  return [output, keys, values];
}
