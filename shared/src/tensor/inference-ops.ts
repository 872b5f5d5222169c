import type { CausalAttentionOptions, Tensor, TensorOps, TopK } from "./tensor-ops.js";

export interface SlotAttentionInputs<T> {
  /** New queries [R,L,H·d], rotated. */
  readonly q: T;
  /** New keys and values [R,L,KH·d]. */
  readonly k: T;
  readonly v: T;
  /** KV slots [R,S,KH·d] before this step. */
  readonly keySlots: T;
  readonly valueSlots: T;
  /** i64 [R]: the position at which each row's new tokens start, 0 ≤ start ≤ S−L. A start past S−L fails the whole run. */
  readonly starts: T;
}

export interface SlotAttentionResult<T> {
  /** [R,L,H·d]; query j of row r sees the positions 0 … starts[r]+j of its slot. */
  readonly output: T;
  /** The slots with the new keys and values written. Fetched into the fed buffers they are updated in place, but onnxruntime-node
   * then copies every fetched slot once more (22 of 76 ms measured): better fetch k and v, and write those. */
  readonly keySlots: T;
  readonly valueSlots: T;
}

/** What only inference needs: no gradient rule, no float64 reference. */
export interface InferenceOps<T extends Tensor = Tensor> extends TensorOps<T> {
  /** Causal attention over a KV slot. Rows with fewer than L new tokens are padded on the right; what the padding wrote is overwritten later. */
  slotAttention(
    inputs: SlotAttentionInputs<T>,
    options: CausalAttentionOptions,
  ): SlotAttentionResult<T>;
  /** The k largest along the last axis with k fed: i64 [1], 0 ≤ k ≤ size. `size` names the resulting axis. */
  topKDynamic(x: T, k: T, size: string): TopK<T>;
  /** #{v : x[…,v] > threshold[…]} as i64; x [...,V], threshold [...].
   * largest: the k ≥ 1 largest of each row of x [n,V], falling; rows whose threshold is among them are counted there, which
   * spares them three passes over V. */
  countGreater(x: T, threshold: T, largest?: T): T;
}
