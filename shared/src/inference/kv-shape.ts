import type { ModelConfig } from "../checkpoint/model-config.js";

/** What one position of a KV cache holds. */
export interface KvShape {
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

export function kvShape({ layers, kvHeads, headDim }: ModelConfig): KvShape {
  return { layers, kvHeads, headDim };
}

/** Room behind the longest real token: attention runs on at least two new positions per row (equal bits whatever the batch),
 * and a row beside longer ones is padded on the right. */
const SLOT_MARGIN = 8;

/** Attention costs the slot's length and a run takes slots of one length, so lengths are few: 32·{1, 2, 3, 4, 6, 8, 12, 16, …} and the margin. */
export function slotLengthFor(positions: number): number {
  let power = 32;
  while (power < positions) {
    if (power >= 64 && (power * 3) / 2 >= positions) return (power * 3) / 2 + SLOT_MARGIN;
    power *= 2;
  }
  return power + SLOT_MARGIN;
}

/** Bytes of one row's keys and values in a slot that can hold `positions`: f32, all layers. */
export function kvBytes(shape: KvShape, positions: number): number {
  return 2 * 4 * shape.layers * shape.kvHeads * shape.headDim * slotLengthFor(positions);
}
