import { CheckpointWeights } from "@tandem/shared/checkpoint/checkpoint-weights.js";
import { readModelConfig } from "@tandem/shared/checkpoint/parse-model-config.js";
import { listParameters } from "@tandem/shared/models/parameters.js";
import type { StudentModel } from "./student-model.js";

/** Reads a Hugging Face directory into memory, f32 whatever it is stored as. The arrays belong to the caller.
 * @throws TandemError as `CheckpointWeights.open` and the reader of config.json do. */
export async function loadStudent(dir: string): Promise<StudentModel> {
  const config = await readModelConfig(dir);
  const checkpoint = await CheckpointWeights.open(dir);
  const weights = new Map<string, Float32Array>();
  for (const { name, shape } of listParameters(config)) {
    weights.set(name, await checkpoint.read(checkpoint.require(name, shape)));
  }
  return { config, weights };
}
