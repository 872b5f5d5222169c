import { join } from "node:path";

import { TandemError } from "../errors/tandem-error.js";
import { readModelJson } from "../files/model-file.js";
import { ConfigFields } from "./config-fields.js";
import type { Activation, Gpt2Config, LlamaConfig, ModelConfig } from "./model-config.js";
import { parseRope } from "./parse-rope.js";

const LLAMA_ARCHITECTURES: ReadonlyMap<unknown, LlamaConfig["family"]> = new Map([
  ["LlamaForCausalLM", "llama"],
  ["MistralForCausalLM", "mistral"],
  ["Qwen2ForCausalLM", "qwen2"],
  ["Qwen3ForCausalLM", "qwen3"],
]);
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

const ACTIVATIONS: ReadonlyMap<unknown, Activation> = new Map([
  ["silu", "silu"],
  ["swish", "silu"],
  ["gelu", "gelu"],
  ["gelu_new", "gelu_tanh"],
  ["gelu_pytorch_tanh", "gelu_tanh"],
  ["relu", "relu"],
]);

/** Of a config.json. */
export const MAX_CONFIG_BYTES = 4 << 20;

/** Far above any model there is; what a config asks for is built before a weight is looked at. */
const MAX_LAYERS = 1024;
const MAX_WIDTH = 2 ** 20;
const MAX_CONTEXT = 2 ** 27;
/** Ids stay below 2^24, as on the wire. */
const MAX_VOCABULARY = 2 ** 24 - 1;

/** Reads `config.json` of a Hugging Face directory, and from `generation_config.json` the ids that end a text: as in `transformers`, they hold
 * where both files name some (chat models end a turn with another token than a document).
 * @throws TandemError NOT_FOUND without config.json, DATA_LOSS when a file is no JSON, else as `parseModelConfig`. */
export async function readModelConfig(dir: string): Promise<ModelConfig> {
  const json = await readModelJson(dir, "config.json", MAX_CONFIG_BYTES);
  if (json !== undefined) {
    const config = parseModelConfig(json);
    const generation = await readModelJson(dir, "generation_config.json", MAX_CONFIG_BYTES);
    const eosTokenIds = idList((generation as { eos_token_id?: unknown } | null)?.eos_token_id);
    return eosTokenIds.length === 0 ? config : Object.freeze({ ...config, eosTokenIds });
  }
  throw new TandemError(
    "NOT_FOUND",
    `${join(dir, "config.json")} does not exist; --model wants a Hugging Face directory or hub id`,
    { field: "model" },
  );
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
  const llama = LLAMA_ARCHITECTURES.get(architecture);
  if (llama !== undefined) return Object.freeze(parseLlama(fields, llama));
  if (typeof architecture === "string" && GPT2_ARCHITECTURES.includes(architecture)) {
    return Object.freeze(parseGpt2(fields));
  }
  throw fields.unsupported(
    "architectures",
    `supported are ${[...LLAMA_ARCHITECTURES.keys(), ...GPT2_ARCHITECTURES].join(", ")}`,
  );
}

function parseLlama(fields: ConfigFields, family: LlamaConfig["family"]): LlamaConfig {
  const defaults = DEFAULTS[family];
  const heads = fields.natural("num_attention_heads", MAX_WIDTH);
  const hiddenSize = fields.natural("hidden_size", MAX_WIDTH);
  const kvHeads = fields.natural("num_key_value_heads", MAX_WIDTH, heads);
  if (heads % kvHeads !== 0)
    throw fields.invalid("num_key_value_heads", `must divide num_attention_heads ${heads}`);
  const contextLength = fields.natural("max_position_embeddings", MAX_CONTEXT, defaults.context);
  refuseSlidingWindow(fields, contextLength);
  const headDim = fields.natural(
    "head_dim",
    MAX_WIDTH,
    defaults.headDim ?? Math.floor(hiddenSize / heads),
  );
  if (headDim % 2 !== 0) throw fields.invalid("head_dim", "must be even for rotary positions");
  const attentionBias = fields.flag("attention_bias", false);
  return {
    family,
    ...common(fields, { heads, hiddenSize, tied: defaults.tied }),
    layers: fields.natural("num_hidden_layers", MAX_LAYERS),
    kvHeads,
    headDim,
    intermediateSize: fields.natural("intermediate_size", MAX_WIDTH),
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
  const heads = fields.natural("n_head", MAX_WIDTH, 12);
  const hiddenSize = fields.natural("n_embd", MAX_WIDTH, 768);
  if (hiddenSize % heads !== 0) throw fields.invalid("n_head", `must divide n_embd ${hiddenSize}`);
  return {
    family: "gpt2",
    ...common(fields, { heads, hiddenSize, tied: true }),
    layers: fields.natural("n_layer", MAX_LAYERS, 12),
    kvHeads: heads,
    headDim: hiddenSize / heads,
    intermediateSize: fields.natural("n_inner", MAX_WIDTH, 4 * hiddenSize),
    contextLength: fields.natural(
      "n_positions",
      MAX_CONTEXT,
      fields.natural("n_ctx", MAX_CONTEXT, 1024),
    ),
    activation: activation(fields, "activation_function", "gelu_new"),
    normEps: fields.positive("layer_norm_epsilon", 1e-5),
  };
}

function common(
  fields: ConfigFields,
  { heads, hiddenSize, tied }: { heads: number; hiddenSize: number; tied: boolean },
) {
  const bos = fields.raw("bos_token_id");
  return {
    vocabSize: fields.natural("vocab_size", MAX_VOCABULARY),
    hiddenSize,
    heads,
    tiedHead: fields.flag("tie_word_embeddings", tied),
    initializerRange: fields.positive("initializer_range", 0.02),
    bosTokenId: typeof bos === "number" ? bos : null,
    eosTokenIds: idList(fields.raw("eos_token_id")),
  };
}

/** An id, a list of ids, or nothing. */
function idList(value: unknown): readonly number[] {
  return (Array.isArray(value) ? value : [value]).filter(
    (id): id is number => typeof id === "number",
  );
}

function activation(fields: ConfigFields, field: string, fallback: string): Activation {
  const name = fields.raw(field) ?? fallback;
  const found = ACTIVATIONS.get(name);
  if (found === undefined)
    throw fields.unsupported(field, `supported are ${[...ACTIVATIONS.keys()].join(", ")}`);
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
