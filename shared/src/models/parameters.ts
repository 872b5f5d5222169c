import type { Gpt2Config, LlamaConfig, ModelConfig } from "../checkpoint/model-config.js";

/** How a parameter starts in a model from scratch. */
export type Initialiser =
  | { readonly kind: "normal"; readonly std: number }
  | { readonly kind: "ones" }
  | { readonly kind: "zeros" };

export interface ParameterSpec {
  /** The name `transformers` gives it in the model with a language-modelling head. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly initialiser: Initialiser;
  /** Weight decay applies: matrices, not norms and biases. */
  readonly decay: boolean;
}

/** The embedding's name; with a tied head it is the head's too. */
export function embeddingName(config: ModelConfig): string {
  return config.family === "gpt2" ? "transformer.wte.weight" : "model.embed_tokens.weight";
}

/** The matrix [vocabSize, D] that turns hidden states into logits. */
export function headName(config: ModelConfig): string {
  return config.tiedHead ? embeddingName(config) : "lm_head.weight";
}

/** Every parameter of a model, in the order in which the forward pass uses them; a tied head appears once, as the embedding. */
export function listParameters(config: ModelConfig): readonly ParameterSpec[] {
  const body = config.family === "gpt2" ? gpt2Parameters(config) : llamaParameters(config);
  return config.tiedHead
    ? body
    : [...body, matrix(config, "lm_head.weight", config.vocabSize, config.hiddenSize)];
}

export function countParameters(config: ModelConfig): number {
  return listParameters(config).reduce(
    (sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1),
    0,
  );
}

function llamaParameters(config: LlamaConfig): ParameterSpec[] {
  const { hiddenSize, heads, kvHeads, headDim, intermediateSize } = config;
  const linear = (name: string, output: number, input: number, bias: boolean) => [
    matrix(config, `${name}.weight`, output, input),
    ...(bias ? [zeros(`${name}.bias`, output)] : []),
  ];
  const layer = (i: number) => {
    const at = `model.layers.${i}`;
    return [
      ones(`${at}.input_layernorm.weight`, hiddenSize),
      ...linear(`${at}.self_attn.q_proj`, heads * headDim, hiddenSize, config.qkvBias),
      ...linear(`${at}.self_attn.k_proj`, kvHeads * headDim, hiddenSize, config.qkvBias),
      ...linear(`${at}.self_attn.v_proj`, kvHeads * headDim, hiddenSize, config.qkvBias),
      ...(config.qkNorm
        ? [
            ones(`${at}.self_attn.q_norm.weight`, headDim),
            ones(`${at}.self_attn.k_norm.weight`, headDim),
          ]
        : []),
      ...linear(`${at}.self_attn.o_proj`, hiddenSize, heads * headDim, config.outputBias),
      ones(`${at}.post_attention_layernorm.weight`, hiddenSize),
      ...linear(`${at}.mlp.gate_proj`, intermediateSize, hiddenSize, config.mlpBias),
      ...linear(`${at}.mlp.up_proj`, intermediateSize, hiddenSize, config.mlpBias),
      ...linear(`${at}.mlp.down_proj`, hiddenSize, intermediateSize, config.mlpBias),
    ];
  };
  return [
    matrix(config, "model.embed_tokens.weight", config.vocabSize, hiddenSize),
    ...Array.from({ length: config.layers }, (_, i) => layer(i)).flat(),
    ones("model.norm.weight", hiddenSize),
  ];
}

/** GPT-2's `Conv1D` keeps its weights as `[in, out]`; projections into the residual stream start smaller by √(2·layers). */
function gpt2Parameters(config: Gpt2Config): ParameterSpec[] {
  const { hiddenSize, intermediateSize, layers } = config;
  const residualStd = config.initializerRange / Math.sqrt(2 * layers);
  const norm = (name: string) => [
    ones(`${name}.weight`, hiddenSize),
    zeros(`${name}.bias`, hiddenSize),
  ];
  const conv1d = (name: string, input: number, output: number, std = config.initializerRange) => [
    {
      name: `${name}.weight`,
      shape: [input, output],
      initialiser: { kind: "normal", std },
      decay: true,
    } as const,
    zeros(`${name}.bias`, output),
  ];
  const layer = (i: number) => {
    const at = `transformer.h.${i}`;
    return [
      ...norm(`${at}.ln_1`),
      ...conv1d(`${at}.attn.c_attn`, hiddenSize, 3 * hiddenSize),
      ...conv1d(`${at}.attn.c_proj`, hiddenSize, hiddenSize, residualStd),
      ...norm(`${at}.ln_2`),
      ...conv1d(`${at}.mlp.c_fc`, hiddenSize, intermediateSize),
      ...conv1d(`${at}.mlp.c_proj`, intermediateSize, hiddenSize, residualStd),
    ];
  };
  return [
    matrix(config, "transformer.wte.weight", config.vocabSize, hiddenSize),
    matrix(config, "transformer.wpe.weight", config.contextLength, hiddenSize),
    ...Array.from({ length: layers }, (_, i) => layer(i)).flat(),
    ...norm("transformer.ln_f"),
  ];
}

function matrix(config: ModelConfig, name: string, rows: number, columns: number): ParameterSpec {
  return {
    name,
    shape: [rows, columns],
    initialiser: { kind: "normal", std: config.initializerRange },
    decay: true,
  };
}

function ones(name: string, size: number): ParameterSpec {
  return { name, shape: [size], initialiser: { kind: "ones" }, decay: false };
}

function zeros(name: string, size: number): ParameterSpec {
  return { name, shape: [size], initialiser: { kind: "zeros" }, decay: false };
}
