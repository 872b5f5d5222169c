import { copyFile, mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { toConfigJson } from "@tandem/shared/checkpoint/to-config-json.js";
import { writeFileAtomic } from "@tandem/shared/checkpoint/write-file-atomic.js";
import { writeSafetensors } from "@tandem/shared/checkpoint/write-safetensors.js";
import { modelParameters, type StudentModel } from "./student-model.js";

export type ExportDType = "f32" | "f16" | "bf16";

export interface ExportOptions {
  readonly model: StudentModel;
  readonly outDir: string;
  /** Default f32. */
  readonly dtype?: ExportDType;
  /** Directory whose tokenizer files are copied along. */
  readonly tokenizerDir?: string;
}

const STORED = {
  f32: { safetensors: "F32", torch: "float32" },
  f16: { safetensors: "F16", torch: "float16" },
  bf16: { safetensors: "BF16", torch: "bfloat16" },
} as const;

const TOKENIZER_FILES = [
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "merges.txt",
  "tokenizer.model",
  "chat_template.jinja",
] as const;

/** Writes a Hugging Face directory that `transformers` loads as it is: config.json, generation_config.json, model.safetensors, tokenizer
 * files. @throws TandemError RESOURCE_EXHAUSTED when the disk is full. */
export async function exportModel({
  model,
  outDir,
  dtype = "f32",
  tokenizerDir,
}: ExportOptions): Promise<void> {
  const { safetensors, torch } = STORED[dtype];
  await mkdir(outDir, { recursive: true });
  if (tokenizerDir !== undefined) await copyTokenizer(tokenizerDir, outDir);
  const config = { ...toConfigJson(model.config), dtype: torch, torch_dtype: torch };
  await writeJson(join(outDir, "config.json"), config);
  await writeJson(join(outDir, "generation_config.json"), generationConfig(model));
  const weights = modelParameters(model).map(({ name, shape, values }) => ({
    name,
    shape,
    data: values,
  }));
  await writeSafetensors(join(outDir, "model.safetensors"), weights, { dtype: safetensors });
}

function generationConfig({ config }: StudentModel): Record<string, unknown> {
  const [first] = config.eosTokenIds;
  return {
    _from_model_config: true,
    ...(config.bosTokenId === null ? {} : { bos_token_id: config.bosTokenId }),
    ...(first === undefined
      ? {}
      : { eos_token_id: config.eosTokenIds.length > 1 ? config.eosTokenIds : first }),
  };
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFileAtomic(path, [Buffer.from(`${JSON.stringify(value, null, 2)}\n`)]);
}

async function copyTokenizer(from: string, to: string): Promise<void> {
  for (const file of TOKENIZER_FILES) {
    const there = await stat(join(from, file)).then(
      (stats) => stats.isFile(),
      () => false,
    );
    if (there) await copyFile(join(from, file), join(to, file));
  }
}
