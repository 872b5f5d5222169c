import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { CheckpointWeights } from "@tandem/shared/checkpoint/checkpoint-weights.js";
import { readModelConfig } from "@tandem/shared/checkpoint/parse-model-config.js";
import { int8Sums } from "@tandem/shared/inference/int8-sums.js";
import { ModelRunner } from "@tandem/shared/inference/model-runner.js";
import { writeQuantized } from "@tandem/shared/inference/quantized-weights.js";
import type { Quantization } from "@tandem/shared/quantization/quantization.js";

/** A checkpoint in fewer bits; the file it was read from is gone already. */
export async function loadQuantizedModel(
  dir: string,
  quantization: Quantization,
): Promise<ModelRunner> {
  const folder = await mkdtemp(join(tmpdir(), "tandem-quantized-"));
  try {
    const file = join(folder, "weights.safetensors");
    const config = await readModelConfig(dir);
    const model = { config, vocabulary: config.vocabSize, quantization };
    await writeQuantized(file, await CheckpointWeights.open(dir), {
      ...model,
      sums: await int8Sums(),
    });
    return await ModelRunner.load({ dir, threads: 1, quantized: { file, quantization } });
  } finally {
    await rm(folder, { recursive: true });
  }
}
