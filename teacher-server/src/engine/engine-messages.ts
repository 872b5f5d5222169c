import type { Quantization } from "@tandem/shared/quantization/quantization.js";
import type { ErrorCode } from "@tandem/shared/errors/error-code.js";
import type { EngineStep, EngineStepResult } from "../scheduler/engine-step.js";

/** What the engine process has to know. */
export interface EngineSettings {
  /** A Hugging Face directory. */
  readonly modelDir: string;
  /** `none`: float32, whatever the weights are stored in. */
  readonly quantization: Quantization | "none";
  /** Where quantised weights and what was found out about a checkpoint are kept. */
  readonly cacheDir: string;
  /** Largest sequence; 0 = the model's own context. */
  readonly maxModelLen: number;
  readonly kvCacheBytes: number;
  readonly threads: number;
  readonly spin: boolean;
  /** What an earlier process found: files that have not changed since are not read again for their digest. */
  readonly known?: WeightsIdentity;
}

export interface WeightsIdentity {
  /** What config.json says of the arithmetic; names, sizes and times of the weight files. */
  readonly stamp: string;
  /** `sha256:` + hex over both. */
  readonly digest: string;
}

/** KL(float32 ‖ served) per token in nats, and how often both have the same best token. */
export interface Divergence {
  readonly meanKl: number;
  readonly p99Kl: number;
  readonly top1Agreement: number;
}

/** What a loaded model says of itself. */
export interface EngineDescription {
  readonly pid: number;
  readonly weights: WeightsIdentity;
  readonly numericsId: string;
  readonly architecture: string;
  /** V. */
  readonly vocabSize: number;
  readonly paddedVocabSize: number;
  /** Both empty when the directory has no tokenizer. */
  readonly tokenizerFingerprint: string;
  readonly tokenizerManifest: string;
  readonly contextLength: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly heads: number;
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly dtype: string;
  /** Absent for float32. */
  readonly divergence?: Divergence;
  readonly eosIds: readonly number[];
  /** Memory of the process when it had loaded the model and computed a step. */
  readonly rssBytes: number;
  /** How long loading and the first step took. */
  readonly loadMs: number;
}

/** An error on its way between the processes. */
export interface EngineFailure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly stack?: string;
  readonly field?: string;
  readonly limit?: number;
}

export type ToEngine =
  | { readonly kind: "load"; readonly settings: EngineSettings }
  | { readonly kind: "step"; readonly id: number; readonly step: EngineStep }
  | { readonly kind: "close" };

export type FromEngine =
  | { readonly kind: "loaded"; readonly description: EngineDescription }
  | { readonly kind: "load-failed"; readonly failure: EngineFailure }
  | { readonly kind: "stepped"; readonly id: number; readonly result: EngineStepResult }
  | { readonly kind: "step-failed"; readonly id: number; readonly failure: EngineFailure };
