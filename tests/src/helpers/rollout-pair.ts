import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { parseModelConfig } from "@tandem/shared/checkpoint/parse-model-config.js";
import { exportModel } from "@tandem/student-trainer/checkpoint/export-model.js";
import { initFromScratch, pickLayers } from "@tandem/student-trainer/checkpoint/init-student.js";

/** The character tokenizer of the demo: 18 ids, `<eos>` is 1. */
const TOKENIZER = fileURLToPath(new URL("../../../examples/demo/model", import.meta.url));
export const PAIR_VOCABULARY = 18;
export const PAIR_EOS = 1;

export interface RolloutPair {
  readonly dir: string;
  readonly teacherDir: string;
  readonly studentDir: string;
  /** JSON lines with prompts and answers. */
  readonly dataFile: string;
  remove(): Promise<void>;
}

/** A random teacher with pointed laws and a student made of one of its two layers, so that the two often agree and often do not. */
export async function makeRolloutPair(): Promise<RolloutPair> {
  const dir = await mkdtemp(join(tmpdir(), "tandem-pair-"));
  const teacherDir = join(dir, "teacher");
  const studentDir = join(dir, "student");
  const dataFile = join(dir, "data.jsonl");
  const config = parseModelConfig({
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    hidden_size: 24,
    intermediate_size: 40,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    num_key_value_heads: 1,
    head_dim: 12,
    vocab_size: PAIR_VOCABULARY,
    max_position_embeddings: 64,
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
    tie_word_embeddings: false,
    initializer_range: 0.25,
    hidden_act: "silu",
    bos_token_id: null,
    eos_token_id: PAIR_EOS,
  });
  const teacher = initFromScratch(config, 5);
  await exportModel({ model: teacher, outDir: teacherDir, tokenizerDir: TOKENIZER });
  const student = pickLayers(teacher, [0]);
  await exportModel({ model: student, outDir: studentDir, tokenizerDir: TOKENIZER });
  const lines = Array.from({ length: 40 }, (_, i) => ({
    prompt: `${(1234 + 577 * i) % 9000}*${2 + (i % 8)}=`.slice(i % 3),
    answer: `${i}:${i * i}`,
  }));
  await writeFile(dataFile, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  return {
    dir,
    teacherDir,
    studentDir,
    dataFile,
    remove: () => rm(dir, { recursive: true, force: true }),
  };
}
