import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseModelConfig } from "@tandem/shared/checkpoint/parse-model-config.js";
import { writeSafetensors } from "@tandem/shared/checkpoint/write-safetensors.js";
import { listParameters } from "@tandem/shared/models/parameters.js";
import { mulberry32 } from "./mulberry32.js";

/** Writes a model that computes next to nothing and says a lot: one thin layer under a large vocabulary. Random weights. */
export async function writeWideModel({
  vocabSize,
  contextLength,
}: {
  readonly vocabSize: number;
  readonly contextLength: number;
}): Promise<string> {
  const json = {
    architectures: ["LlamaForCausalLM"],
    hidden_size: 16,
    intermediate_size: 24,
    num_hidden_layers: 1,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 4,
    hidden_act: "silu",
    max_position_embeddings: contextLength,
    rms_norm_eps: 1e-6,
    tie_word_embeddings: true,
    vocab_size: vocabSize,
  };
  const dir = await mkdtemp(join(tmpdir(), "tandem-wide-"));
  const random = mulberry32(1);
  const weights = listParameters(parseModelConfig(json)).map(({ name, shape }) => ({
    name,
    shape,
    data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random() - 0.5),
  }));
  await writeFile(join(dir, "config.json"), JSON.stringify(json));
  await writeSafetensors(join(dir, "model.safetensors"), weights);
  return dir;
}
