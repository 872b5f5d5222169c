import type { Activation } from "../checkpoint/model-config.js";
import { unreachable } from "../errors/invariant.js";
import type { Tensor, TensorOps } from "../tensor/tensor-ops.js";

/** A parameter by its `transformers` name. */
export type WeightSource<T> = (name: string) => T;

/** Self-attention of one layer: q [N,H·d], k and v [N,KH·d] → [N,H·d].
 * Training attends within whole rows, inference through KV slots; the models do not know which. */
export type Attend<T> = (layer: number, q: T, k: T, v: T) => T;

export interface DecoderOutput<T> {
  /** Behind the final norm, f32 [N,D]: what the head multiplies. */
  readonly hidden: T;
  /** The residual stream, f32 [N,D] each: layers[0] behind the embedding, layers[i] behind block i, before the final norm. */
  readonly layers: readonly T[];
  /** What each block projects, projections[i−1] of block i: [N,H·d], [N,KH·d], [N,KH·d], before norms of heads and rotation. */
  readonly projections: readonly Projections<T>[];
}

export interface Projections<T> {
  readonly queries: T;
  readonly keys: T;
  readonly values: T;
}

export function activate<T extends Tensor>(ops: TensorOps<T>, activation: Activation, x: T): T {
  switch (activation) {
    case "silu":
      return ops.silu(x);
    case "gelu":
      return ops.gelu(x, "erf");
    case "gelu_tanh":
      return ops.gelu(x, "tanh");
    case "relu":
      return ops.relu(x);
    default:
      return unreachable(activation);
  }
}
