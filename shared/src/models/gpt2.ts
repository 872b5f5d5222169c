import type { Gpt2Config } from "../checkpoint/model-config.js";
import type { Tensor, TensorOps } from "../tensor/tensor-ops.js";
import {
  activate,
  type Attend,
  type DecoderOutput,
  type Projections,
  type WeightSource,
} from "./decoder-parts.js";

export interface Gpt2Inputs<T> {
  /** Token ids, i64 [N]. */
  readonly ids: T;
  /** Positions of the tokens, i64 [N]. */
  readonly positions: T;
  readonly attend: Attend<T>;
}

/** GPT-2 up to the final norm, on N packed tokens. Returns f32 [N,D] and the residual stream as `llama` does. */
export function gpt2<T extends Tensor>(
  ops: TensorOps<T>,
  config: Gpt2Config,
  weight: WeightSource<T>,
  { ids, positions, attend }: Gpt2Inputs<T>,
): DecoderOutput<T> {
  const D = config.hiddenSize;

  /** `Conv1D`: the weight is [in, out]. */
  const conv1d = (x: T, name: string): T =>
    ops.add(ops.matmul(x, weight(`${name}.weight`)), weight(`${name}.bias`));
  const norm = (x: T, name: string): T =>
    ops.layerNorm(x, weight(`${name}.weight`), weight(`${name}.bias`), config.normEps);

  const projections: Projections<T>[] = [];
  const attention = (x: T, layer: number): T => {
    const at = `transformer.h.${layer}.attn`;
    const qkv = conv1d(x, `${at}.c_attn`); // [N,3D]
    const q = ops.slice(qkv, 1, 0, D); // [N,D]
    const k = ops.slice(qkv, 1, D, 2 * D); // [N,D]
    const v = ops.slice(qkv, 1, 2 * D, 3 * D); // [N,D]
    projections.push({ queries: q, keys: k, values: v });
    return conv1d(attend(layer, q, k, v), `${at}.c_proj`);
  };

  const feedForward = (x: T, layer: number): T => {
    const at = `transformer.h.${layer}.mlp`;
    return conv1d(activate(ops, config.activation, conv1d(x, `${at}.c_fc`)), `${at}.c_proj`);
  };

  const tokens = ops.gather(weight("transformer.wte.weight"), ids, 0); // [N,D]
  const places = ops.gather(weight("transformer.wpe.weight"), positions, 0); // [N,D]
  let x = ops.add(tokens, places);
  const layers = [x];
  for (let i = 0; i < config.layers; i++) {
    x = ops.add(x, attention(norm(x, `transformer.h.${i}.ln_1`), i));
    x = ops.add(x, feedForward(norm(x, `transformer.h.${i}.ln_2`), i));
    layers.push(x);
  }
  return { hidden: norm(x, "transformer.ln_f"), layers, projections };
}
