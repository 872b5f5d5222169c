/** What `npm run bench -- train` measures; the same plan goes to both sides. */
export interface TrainPlan {
  readonly title: string;
  /** Sizes under the names of config.json. */
  readonly model: Readonly<Record<string, number | boolean | string>>;
  readonly rows: number;
  readonly positions: number;
  readonly steps: number;
  readonly threads: number;
  /** 0: cross-entropy; otherwise forward KL against a top list of so many ids. */
  readonly topK: number;
}

/** What either side prints. */
export interface TrainTimes {
  readonly seconds: readonly number[];
  readonly losses: readonly number[];
  readonly peakBytes: number;
  readonly parameters: number;
}

const COMMON = {
  model_type: "llama",
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
  tie_word_embeddings: true,
  hidden_act: "silu",
  max_position_embeddings: 512,
} as const;

export function trainPlans(threads: number, topK: number): readonly TrainPlan[] {
  return [
    {
      title: "7M parameters, 8×128 tokens",
      model: {
        ...COMMON,
        vocab_size: 2048,
        hidden_size: 256,
        num_hidden_layers: 8,
        num_attention_heads: 8,
        num_key_value_heads: 8,
        head_dim: 32,
        intermediate_size: 688,
      },
      rows: 8,
      positions: 128,
      steps: 8,
      threads,
      topK,
    },
    {
      // SmolLM2-135M with six of its thirty layers.
      title: "49.6M parameters, V = 49,152, 8×256 tokens",
      model: {
        ...COMMON,
        vocab_size: 49_152,
        hidden_size: 576,
        num_hidden_layers: 6,
        num_attention_heads: 9,
        num_key_value_heads: 3,
        head_dim: 64,
        intermediate_size: 1536,
      },
      rows: 8,
      positions: 256,
      steps: 4,
      threads,
      topK,
    },
  ];
}
