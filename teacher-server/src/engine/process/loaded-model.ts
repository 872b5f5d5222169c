import { QUANTIZATION_VERSION } from "@tandem/shared/quantization/quantization.js";
import { readModelConfig } from "@tandem/shared/checkpoint/parse-model-config.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { ModelRunner } from "@tandem/shared/inference/model-runner.js";
import {
  readTokenizerIdentity,
  type TokenizerIdentity,
} from "@tandem/shared/tokenizer/fingerprint.js";
import { runtimeVersion } from "@tandem/shared/runtime/ort-session.js";
import { NO_SIGNAL } from "@tandem/shared/wire/teacher-signal.js";
import type { EngineDescription, EngineSettings } from "../engine-messages.js";
import type { EngineStep, EngineStepResult } from "../../scheduler/engine-step.js";
import { encodeResult } from "./encode-result.js";
import { identifyWeights } from "./identify-weights.js";
import { numericsId } from "./numerics-id.js";
import { loadQuantized } from "./quantized-teacher.js";

/** A teacher in memory. */
export interface LoadedModel {
  readonly description: EngineDescription;
  readonly run: (step: EngineStep) => Promise<EngineStepResult>;
  readonly close: () => Promise<void>;
}

/** Loads a Hugging Face directory and computes a first step, so that "loaded" means "has answered".
 * @throws TandemError as the checkpoint room and ModelRunner do. */
export async function loadModel(settings: EngineSettings): Promise<LoadedModel> {
  const began = performance.now();
  const { modelDir, maxModelLen, kvCacheBytes, threads, quantization } = settings;
  const config = await readModelConfig(modelDir);
  const maxLength = maxModelLen === 0 ? config.contextLength : maxModelLen;
  const tokenizer = await readIdentity(modelDir);
  const vocabulary = tokenizer?.vocabularySize ?? config.vocabSize;
  const weights = await identifyWeights(modelDir, { ...settings, config });
  const options = { threads, spin: settings.spin, maxLength, kvBytes: kvCacheBytes, vocabulary };
  const { runner, divergence } =
    quantization === "none"
      ? { runner: await ModelRunner.load({ dir: modelDir, ...options }) }
      : await loadQuantized(
          { ...settings, ...options, dir: modelDir, quantization, digest: weights.digest },
          options,
        );
  const dtype = quantization === "none" ? "f32" : quantization;
  const precision = quantization === "none" ? dtype : `${dtype}.${QUANTIZATION_VERSION}`;
  await warmUp(runner);
  const description: EngineDescription = {
    pid: process.pid,
    weights,
    numericsId: numericsId({ runtime: runtimeVersion(), provider: "cpu", precision }),
    architecture: config.family,
    vocabSize: runner.vocabulary,
    paddedVocabSize: config.vocabSize,
    tokenizerFingerprint: tokenizer?.fingerprint ?? "",
    tokenizerManifest: tokenizer?.manifest ?? "",
    contextLength: maxLength,
    hiddenSize: config.hiddenSize,
    intermediateSize: config.intermediateSize,
    heads: config.heads,
    rssBytes: process.memoryUsage.rss(),
    layers: config.layers,
    kvHeads: config.kvHeads,
    headDim: config.headDim,
    dtype,
    ...(divergence && { divergence }),
    eosIds: config.eosTokenIds,
    loadMs: performance.now() - began,
  };
  return {
    description,
    run: async (step) => encodeResult(step, await runner.run(step), runner.vocabulary),
    close: () => runner.close(),
  };
}

/** The tokenizer's identity; absent for a directory without tokenizer.json, whose ids are then the embedding's rows. */
async function readIdentity(dir: string): Promise<TokenizerIdentity | undefined> {
  try {
    return await readTokenizerIdentity(dir);
  } catch (error) {
    if (TandemError.from(error).code === "NOT_FOUND") return undefined;
    throw error;
  }
}

/** The first run allocates; a user's request should not wait for that. */
async function warmUp(runner: ModelRunner): Promise<void> {
  const cache = 0;
  const head = { first: 1, targets: Uint32Array.of(0), spec: { ...NO_SIGNAL, token: true } };
  await runner.run({
    release: [],

    rows: [{ cache, past: 0, tokens: new Uint32Array(2), maxLength: 2, head }],
  });
  await runner.run({ release: [cache], rows: [] });
}
