import { open } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { decodeWeights } from "@tandem/shared/checkpoint/decode-weights.js";
import { readBytes, readSafetensorsFile } from "@tandem/shared/checkpoint/safetensors-file.js";
import type { WeightDType } from "@tandem/shared/checkpoint/safetensors-header.js";
import { NO_SIGNAL, type SignalSpec } from "@tandem/shared/wire/teacher-signal.js";

/** Directories that tests/peers/make_tiny_models.py wrote. V = 97. */
export const TINY_MODELS = [
  "llama-tied",
  "llama-bias",
  "llama-rope-llama3",
  "llama-rope-linear",
  "llama-sharded",
  "llama-f16",
  "llama-bf16",
  "mistral",
  "qwen2",
  "qwen3",
  "gpt2",
  "gpt2-bare",
] as const;

export const TINY_VOCABULARY = 97;

export function tinyModelDir(name: string): string {
  return fileURLToPath(new URL(`../../fixtures/models/${name}`, import.meta.url));
}

/** All tensors of a safetensors file as f32. */
export async function readTensors(path: string): Promise<ReadonlyMap<string, Float32Array>> {
  const file = await readSafetensorsFile(path);
  const handle = await open(file.path, "r");
  try {
    const tensors = new Map<string, Float32Array>();
    for (const { name, dtype, offset, byteLength } of file.entries) {
      const bytes = await readBytes(handle, offset, byteLength, path);
      tensors.set(name, decodeWeights(bytes, dtype as WeightDType));
    }
    return tensors;
  } finally {
    await handle.close();
  }
}

export function signalOf(parts: Partial<SignalSpec>): SignalSpec {
  return { ...NO_SIGNAL, ...parts };
}
