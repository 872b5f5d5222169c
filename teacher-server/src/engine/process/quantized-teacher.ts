import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { CheckpointWeights } from "@tandem/shared/checkpoint/checkpoint-weights.js";
import { readModelConfig } from "@tandem/shared/checkpoint/parse-model-config.js";
import { writeFileAtomic } from "@tandem/shared/checkpoint/write-file-atomic.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { int8Sums } from "@tandem/shared/inference/int8-sums.js";
import { ModelRunner, type RunnerOptions } from "@tandem/shared/inference/model-runner.js";
import {
  bindQuantized,
  writeQuantized,
  type QuantizedModel,
} from "@tandem/shared/inference/quantized-weights.js";
import {
  QUANTIZATION_VERSION,
  type Quantization,
} from "@tandem/shared/quantization/quantization.js";
import type { Divergence } from "../engine-messages.js";
import { DivergenceMeter, divergenceTokens, lawsOf } from "./divergence.js";

export interface QuantizedTeacher {
  readonly runner: ModelRunner;
  readonly divergence: Divergence;
}

export interface TeacherSource extends Required<Pick<RunnerOptions, "vocabulary" | "maxLength">> {
  readonly dir: string;
  readonly quantization: Quantization;
  readonly cacheDir: string;
  /** `sha256:…` of the checkpoint. */
  readonly digest: string;
}

/** A checkpoint served in fewer bits. The quantised weights and their divergence are made at the first start and kept under the checkpoint's digest;
 * that start computes the float32 laws too, before the quantised model is loaded, so that both are never in memory together.
 * @throws TandemError as ModelRunner.load and writeQuantized. */
export async function loadQuantized(
  source: TeacherSource,
  options: RunnerOptions,
): Promise<QuantizedTeacher> {
  const { dir, quantization, cacheDir, digest, vocabulary } = source;
  const sums = quantization === "int8" ? await int8Sums() : "whole";
  const folder = join(cacheDir, "weights", digest.replace(/^sha256:/, ""));
  const form = quantization === "int8" ? `int8-${sums}` : quantization;
  const stem = join(folder, `${form}-${QUANTIZATION_VERSION}-${vocabulary}`);
  const file = `${stem}.safetensors`;
  await mkdir(folder, { recursive: true });
  const model = { config: await readModelConfig(dir), vocabulary, quantization };
  if (!(await isWhole(file, model)))
    await writeQuantized(file, await CheckpointWeights.open(dir), { ...model, sums });
  const quantized = { file, quantization };
  const known = await readDivergence(`${stem}.json`);
  if (known !== undefined)
    return { runner: await ModelRunner.load({ ...options, dir, quantized }), divergence: known };
  const tokens = await divergenceTokens(dir, source);
  const reference = await referenceLaws(dir, tokens, options);
  const runner = await ModelRunner.load({ ...options, dir, quantized });
  const meter = new DivergenceMeter(vocabulary);
  for await (const laws of lawsOf(runner, tokens)) meter.compare(reference.shift()!, laws);
  const divergence = meter.result();
  await writeFileAtomic(`${stem}.json`, [Buffer.from(`${JSON.stringify(divergence)}\n`)]);
  return { runner, divergence };
}

async function referenceLaws(
  dir: string,
  tokens: Uint32Array,
  options: RunnerOptions,
): Promise<Float32Array[]> {
  const runner = await ModelRunner.load({ ...options, dir });
  try {
    const laws: Float32Array[] = [];
    for await (const chunk of lawsOf(runner, tokens)) laws.push(chunk);
    return laws;
  } finally {
    await runner.close();
  }
}

/** Undefined when it was not measured yet, or the file is not what we wrote. */
async function readDivergence(path: string): Promise<Divergence | undefined> {
  try {
    const value = JSON.parse(await readFile(path, "utf8")) as Partial<Divergence>;
    const { meanKl, p99Kl, top1Agreement } = value;
    if ([meanKl, p99Kl, top1Agreement].every(Number.isFinite)) return value as Divergence;
  } catch {
    // It is measured again.
  }
  return undefined;
}

/** A file that is cut off, or of another form, is made again. */
async function isWhole(file: string, model: QuantizedModel): Promise<boolean> {
  try {
    await bindQuantized(file, model);
    return true;
  } catch (caught) {
    const { code } = TandemError.from(caught);
    if (code === "NOT_FOUND" || code === "DATA_LOSS") return false;
    throw caught;
  }
}
