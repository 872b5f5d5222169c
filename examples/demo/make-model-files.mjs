// Writes examples/demo/model: the architecture of the demo's teacher and its character tokenizer, in Hugging Face's formats.
//
//   npm run build && node examples/demo/make-model-files.mjs && npm run format
//
// The tokenizer is a byte-pair model without merges: every character is a token, in both JavaScript's and Python's tokenizers.
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createCharTokenizerJson } from "@tandem/shared/tokenizer/char-tokenizer.js";

const SPECIAL = ["<pad>", "<eos>"];
const CHARACTERS = "0123456789*+=;:-".split("");

const tokenizer = createCharTokenizerJson({ special: SPECIAL, characters: CHARACTERS });

const tokenizerConfig = {
  tokenizer_class: "PreTrainedTokenizerFast",
  pad_token: "<pad>",
  eos_token: "<eos>",
  clean_up_tokenization_spaces: false,
  model_max_length: 64,
};

/** 1.19 million parameters: 6 · (4·128² + 3·128·344 + 2·128) + 18·128 + 128. */
const config = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  hidden_size: 128,
  num_hidden_layers: 6,
  num_attention_heads: 4,
  num_key_value_heads: 4,
  head_dim: 32,
  intermediate_size: 344,
  hidden_act: "silu",
  vocab_size: SPECIAL.length + CHARACTERS.length,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  rope_scaling: null,
  attention_bias: false,
  attention_dropout: 0,
  mlp_bias: false,
  initializer_range: 0.02,
  tie_word_embeddings: true,
  bos_token_id: null,
  pad_token_id: 0,
  eos_token_id: 1,
  torch_dtype: "float32",
  use_cache: true,
};

const directory = new URL("model/", import.meta.url);
mkdirSync(directory, { recursive: true });
const files = {
  "config.json": config,
  "generation_config.json": { pad_token_id: 0, eos_token_id: 1 },
  "tokenizer.json": tokenizer,
  "tokenizer_config.json": tokenizerConfig,
};
for (const [name, content] of Object.entries(files)) {
  writeFileSync(new URL(name, directory), `${JSON.stringify(content, null, 2)}\n`);
}
console.log(fileURLToPath(directory));
