/** What the weights of a model mean: config.json of a Hugging Face directory, checked and typed. */
export type ModelConfig = LlamaConfig | Gpt2Config;

export type Activation = "silu" | "gelu" | "gelu_tanh" | "relu";

interface CommonConfig {
  /** Rows of the embedding, padding included; the real vocabulary may be smaller. */
  readonly vocabSize: number;
  /** D. */
  readonly hiddenSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Width inside the feed-forward network. */
  readonly intermediateSize: number;
  /** Positions the model was made for. */
  readonly contextLength: number;
  /** The head is the embedding. */
  readonly tiedHead: boolean;
  readonly activation: Activation;
  readonly normEps: number;
  readonly initializerRange: number;
  readonly bosTokenId: number | null;
  readonly eosTokenIds: readonly number[];
}

/** Llama, Mistral, Qwen2 and Qwen3: RMSNorm, rotary positions, gated feed-forward. */
export interface LlamaConfig extends CommonConfig {
  readonly family: "llama" | "mistral" | "qwen2" | "qwen3";
  readonly qkvBias: boolean;
  readonly outputBias: boolean;
  readonly mlpBias: boolean;
  /** RMSNorm over each head of q and k. */
  readonly qkNorm: boolean;
  readonly rope: RopeConfig;
}

export interface RopeConfig {
  readonly theta: number;
  readonly scaling: RopeScaling;
}

export type RopeScaling =
  | { readonly kind: "none" }
  | { readonly kind: "linear"; readonly factor: number }
  /** Llama 3.1: low frequencies are divided, high ones kept, those between blended. */
  | {
      readonly kind: "llama3";
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalContextLength: number;
    };

/** GPT-2: LayerNorm, learned positions, fused qkv in `Conv1D` layout `[in, out]`. */
export interface Gpt2Config extends CommonConfig {
  readonly family: "gpt2";
}

export type ModelFamily = ModelConfig["family"];
