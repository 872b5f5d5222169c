import type { Gpt2Config, LlamaConfig, ModelConfig, RopeScaling } from "./model-config.js";

const ARCHITECTURES = {
  llama: "LlamaForCausalLM",
  mistral: "MistralForCausalLM",
  qwen2: "Qwen2ForCausalLM",
  qwen3: "Qwen3ForCausalLM",
  gpt2: "GPT2LMHeadModel",
} as const;

/** The config.json with which `transformers` (4 and 5) loads a model of this shape. The inverse of `parseModelConfig`. */
export function toConfigJson(config: ModelConfig): Record<string, unknown> {
  const shared = {
    architectures: [ARCHITECTURES[config.family]],
    model_type: config.family,
    vocab_size: config.vocabSize,
    tie_word_embeddings: config.tiedHead,
    initializer_range: config.initializerRange,
    bos_token_id: config.bosTokenId,
    eos_token_id:
      config.eosTokenIds.length > 1 ? config.eosTokenIds : (config.eosTokenIds[0] ?? null),
    dtype: "float32",
    torch_dtype: "float32",
    use_cache: true,
  };
  return config.family === "gpt2"
    ? { ...shared, ...gpt2Fields(config) }
    : { ...shared, ...llamaFields(config) };
}

function llamaFields(config: LlamaConfig): Record<string, unknown> {
  const scaling = ropeFields(config.rope.scaling);
  return {
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.kvHeads,
    head_dim: config.headDim,
    max_position_embeddings: config.contextLength,
    hidden_act: config.activation === "gelu_tanh" ? "gelu_pytorch_tanh" : config.activation,
    rms_norm_eps: config.normEps,
    attention_dropout: 0,
    rope_theta: config.rope.theta,
    rope_scaling: scaling === null ? null : scaling,
    rope_parameters: { rope_theta: config.rope.theta, ...(scaling ?? { rope_type: "default" }) },
    ...familyFields(config),
  };
}

function familyFields(config: LlamaConfig): Record<string, unknown> {
  switch (config.family) {
    case "llama":
      return { attention_bias: config.qkvBias, mlp_bias: config.mlpBias };
    case "mistral":
      return { sliding_window: null };
    case "qwen2":
      return { use_sliding_window: false };
    case "qwen3":
      return { attention_bias: config.qkvBias, use_sliding_window: false };
  }
}

function ropeFields(scaling: RopeScaling): Record<string, unknown> | null {
  switch (scaling.kind) {
    case "none":
      return null;
    case "linear":
      return { rope_type: "linear", factor: scaling.factor };
    case "llama3":
      return {
        rope_type: "llama3",
        factor: scaling.factor,
        low_freq_factor: scaling.lowFreqFactor,
        high_freq_factor: scaling.highFreqFactor,
        original_max_position_embeddings: scaling.originalContextLength,
      };
  }
}

function gpt2Fields(config: Gpt2Config): Record<string, unknown> {
  return {
    n_embd: config.hiddenSize,
    n_layer: config.layers,
    n_head: config.heads,
    n_inner: config.intermediateSize,
    n_positions: config.contextLength,
    activation_function: config.activation === "gelu_tanh" ? "gelu_new" : config.activation,
    layer_norm_epsilon: config.normEps,
    attn_pdrop: 0,
    embd_pdrop: 0,
    resid_pdrop: 0,
  };
}
