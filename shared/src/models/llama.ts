import type { LlamaConfig } from "../checkpoint/model-config.js";
import type { Tensor, TensorOps } from "../tensor/tensor-ops.js";
import {
  activate,
  type Attend,
  type DecoderOutput,
  type Projections,
  type WeightSource,
} from "./decoder-parts.js";

export interface LlamaInputs<T> {
  /** Token ids, i64 [N]. */
  readonly ids: T;
  /** Rotary angles of the tokens' positions, f32 [N, d/2]: see `rotaryAngles`. */
  readonly cos: T;
  readonly sin: T;
  readonly attend: Attend<T>;
}

/** Llama, Mistral, Qwen2 and Qwen3 up to the final norm, on N packed tokens.
 * Returns f32 [N,D]; with `layers` also the residual stream behind the embedding (index 0) and behind each block. */
export function llama<T extends Tensor>(
  ops: TensorOps<T>,
  config: LlamaConfig,
  weight: WeightSource<T>,
  { ids, cos, sin, attend }: LlamaInputs<T>,
): DecoderOutput<T> {
  const { heads, kvHeads, headDim } = config;

  const linear = (x: T, name: string, bias: boolean): T => {
    const y = ops.matmul(x, weight(`${name}.weight`), { transB: true });
    return bias ? ops.add(y, weight(`${name}.bias`)) : y;
  };
  const norm = (x: T, name: string): T => ops.rmsNorm(x, weight(`${name}.weight`), config.normEps);
  /** RMSNorm over each head by itself. */
  const headNorm = (x: T, name: string, count: number): T => {
    const perHead = ops.reshape(x, [x.shape[0]!, count, headDim]); // [N,H,d]
    return ops.reshape(norm(perHead, name), x.shape);
  };

  const projections: Projections<T>[] = [];
  const attention = (x: T, layer: number): T => {
    const at = `model.layers.${layer}.self_attn`;
    let q = linear(x, `${at}.q_proj`, config.qkvBias); // [N,H·d]
    let k = linear(x, `${at}.k_proj`, config.qkvBias); // [N,KH·d]
    const v = linear(x, `${at}.v_proj`, config.qkvBias); // [N,KH·d]
    projections.push({ queries: q, keys: k, values: v });
    if (config.qkNorm) {
      q = headNorm(q, `${at}.q_norm`, heads);
      k = headNorm(k, `${at}.k_norm`, kvHeads);
    }
    q = ops.rotary(q, cos, sin, heads);
    k = ops.rotary(k, cos, sin, kvHeads);
    return linear(attend(layer, q, k, v), `${at}.o_proj`, config.outputBias); // [N,D]
  };

  const feedForward = (x: T, layer: number): T => {
    const at = `model.layers.${layer}.mlp`;
    const gate = activate(ops, config.activation, linear(x, `${at}.gate_proj`, config.mlpBias)); // [N,F]
    const up = linear(x, `${at}.up_proj`, config.mlpBias); // [N,F]
    return linear(ops.mul(gate, up), `${at}.down_proj`, config.mlpBias); // [N,D]
  };

  let x = ops.gather(weight("model.embed_tokens.weight"), ids, 0); // [N,D]
  const layers = [x];
  for (let i = 0; i < config.layers; i++) {
    x = ops.add(x, attention(norm(x, `model.layers.${i}.input_layernorm`), i));
    x = ops.add(x, feedForward(norm(x, `model.layers.${i}.post_attention_layernorm`), i));
    layers.push(x);
  }
  return { hidden: norm(x, "model.norm"), layers, projections };
}
