import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { TandemError } from "../errors/tandem-error.js";
import { ConfigFields } from "./config-fields.js";
import type { Activation, Gpt2Config, LlamaConfig, ModelConfig } from "./model-config.js";
import { parseRope } from "./parse-rope.js";

const LLAMA_ARCHITECTURES: Readonly<Record<string, LlamaConfig["family"]>> = {
  LlamaForCausalLM: "llama",
  MistralForCausalLM: "mistral",
  Qwen2ForCausalLM: "qwen2",
  Qwen3ForCausalLM: "qwen3",
};
const GPT2_ARCHITECTURES = ["GPT2LMHeadModel", "GPT2Model"];

/** What `transformers` fills in where a checkpoint's config.json is silent: tied head, theta, context, eps. */
const DEFAULTS: Readonly<
  Record<
    LlamaConfig["family"],
    { tied: boolean; theta: number; context: number; eps: number; headDim?: number }
  >
> = {
  llama: { tied: false, theta: 10_000, context: 2048, eps: 1e-6 },
  mistral: { tied: false, theta: 10_000, context: 131_072, eps: 1e-6 },
  qwen2: { tied: false, theta: 10_000, context: 32_768, eps: 1e-6 },
  qwen3: { tied: false, theta: 10_000, context: 32_768, eps: 1e-6, headDim: 128 },
};

const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  silu: "silu",
  swish: "silu",
  gelu: "gelu",
  gelu_new: "gelu_tanh",
  gelu_pytorch_tanh: "gelu_tanh",
  relu: "relu",
};

/** Reads `config.json` of a Hugging Face directory.
 * @throws TandemError NOT_FOUND without the file, DATA_LOSS when it is no JSON, else as `parseModelConfig`. */
export async function readModelConfig(dir: string): Promise<ModelConfig> {
  const path = join(dir, "config.json");
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new TandemError(
      "NOT_FOUND",
      `${path} cannot be read; --model wants a Hugging Face directory or hub id`,
      {
        cause,
        field: "model",
      },
    );
  });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new TandemError("DATA_LOSS", `${path} is not JSON`, { cause, field: "model" });
  }
  return parseModelConfig(json);
}

/** The content of config.json → a frozen `ModelConfig`.
 * @throws TandemError UNIMPLEMENTED naming the field when the model needs something we do not have; INVALID_ARGUMENT when a field is missing or makes no sense. */
export function parseModelConfig(json: unknown): ModelConfig {
  const fields = new ConfigFields(json);
  const architectures = fields.raw("architectures");
  const architecture: unknown = Array.isArray(architectures) ? architectures[0] : undefined;
  if (fields.raw("quantization_config") != null) {
    throw fields.unsupported("quantization_config", "weights must be plain F32, F16 or BF16");
  }
  const llama = typeof architecture === "string" ? LLAMA_ARCHITECTURES[architecture] : undefined;
  if (llama !== undefined) return Object.freeze(parseLlama(fields, llama));
  if (typeof architecture === "string" && GPT2_ARCHITECTURES.includes(architecture)) {
    return Object.freeze(parseGpt2(fields));
  }
  throw fields.unsupported(
    "architectures",
    `supported are ${[...Object.keys(LLAMA_ARCHITECTURES), ...GPT2_ARCHITECTURES].join(", ")}`,
  );
}

function parseLlama(fields: ConfigFields, family: LlamaConfig["family"]): LlamaConfig {
  const defaults = DEFAULTS[family];
  const heads = fields.natural("num_attention_heads");
  const hiddenSize = fields.natural("hidden_size");
  const kvHeads = fields.natural("num_key_value_heads", heads);
  if (heads % kvHeads !== 0)
    throw fields.invalid("num_key_value_heads", `must divide num_attention_heads ${heads}`);
  const contextLength = fields.natural("max_position_embeddings", defaults.context);
  refuseSlidingWindow(fields, contextLength);
  const headDim = fields.natural("head_dim", defaults.headDim ?? Math.floor(hiddenSize / heads));
  if (headDim % 2 !== 0) throw fields.invalid("head_dim", "must be even for rotary positions");
  const attentionBias = fields.flag("attention_bias", false);
  return {
    family,
    ...common(fields, { heads, hiddenSize, tied: defaults.tied }),
    layers: fields.natural("num_hidden_layers"),
    kvHeads,
    headDim,
    intermediateSize: fields.natural("intermediate_size"),
    contextLength,
    activation: activation(fields, "hidden_act", "silu"),
    normEps: fields.positive("rms_norm_eps", defaults.eps),
    qkvBias: family === "qwen2" || (family !== "mistral" && attentionBias),
    outputBias: family !== "qwen2" && family !== "mistral" && attentionBias,
    mlpBias: family === "llama" && fields.flag("mlp_bias", false),
    qkNorm: family === "qwen3",
    rope: parseRope(fields, { theta: defaults.theta, contextLength }),
  };
}

function parseGpt2(fields: ConfigFields): Gpt2Config {
  for (const [field, wanted] of [
    ["scale_attn_weights", true],
    ["scale_attn_by_inverse_layer_idx", false],
    ["add_cross_attention", false],
  ] as const) {
    if (fields.flag(field, wanted) !== wanted)
      throw fields.unsupported(field, `only ${wanted} is supported`);
  }
  const heads = fields.natural("n_head", 12);
  const hiddenSize = fields.natural("n_embd", 768);
  if (hiddenSize % heads !== 0) throw fields.invalid("n_head", `must divide n_embd ${hiddenSize}`);
  return {
    family: "gpt2",
    ...common(fields, { heads, hiddenSize, tied: true }),
    layers: fields.natural("n_layer", 12),
    kvHeads: heads,
    headDim: hiddenSize / heads,
    intermediateSize: fields.natural("n_inner", 4 * hiddenSize),
    contextLength: fields.natural("n_positions", fields.natural("n_ctx", 1024)),
    activation: activation(fields, "activation_function", "gelu_new"),
    normEps: fields.positive("layer_norm_epsilon", 1e-5),
  };
}

function common(
  fields: ConfigFields,
  { heads, hiddenSize, tied }: { heads: number; hiddenSize: number; tied: boolean },
) {
  const eos = fields.raw("eos_token_id");
  const bos = fields.raw("bos_token_id");
  return {
    vocabSize: fields.natural("vocab_size"),
    hiddenSize,
    heads,
    tiedHead: fields.flag("tie_word_embeddings", tied),
    initializerRange: fields.positive("initializer_range", 0.02),
    bosTokenId: typeof bos === "number" ? bos : null,
    eosTokenIds: (Array.isArray(eos) ? eos : [eos]).filter(
      (id): id is number => typeof id === "number",
    ),
  };
}

function activation(fields: ConfigFields, field: string, fallback: string): Activation {
  const name = fields.raw(field) ?? fallback;
  const found = typeof name === "string" ? ACTIVATIONS[name] : undefined;
  if (found === undefined)
    throw fields.unsupported(field, `supported are ${Object.keys(ACTIVATIONS).join(", ")}`);
  return found;
}

/** A window at least as long as the context never hides anything. Qwen switches its window off by a flag of its own. */
function refuseSlidingWindow(fields: ConfigFields, contextLength: number): void {
  const window = fields.raw("sliding_window");
  const disabled = fields.has("use_sliding_window") && !fields.flag("use_sliding_window", false);
  if (window == null || disabled || (typeof window === "number" && window >= contextLength)) return;
  throw fields.unsupported(
    "sliding_window",
    `attention over a window shorter than max_position_embeddings ${contextLength} is not supported; null or at least that is`,
  );
}
