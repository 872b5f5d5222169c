import { totalmem } from "node:os";
import type { DescribeResponse } from "@tandem/proto/gen/tandem/v1/DescribeResponse.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { kvBlockBytes } from "@tandem/shared/inference/kv-blocks.js";
import { kvBytes } from "@tandem/shared/inference/kv-shape.js";
import type { Clock } from "@tandem/shared/telemetry/clock.js";
import type { Logger } from "@tandem/shared/telemetry/logger.js";
import { Admission } from "./admission/admission.js";
import { StreamAdmission } from "./admission/stream-admission.js";
import { planRequestBytes } from "./admission/memory-plan.js";
import type { ServerLimits } from "./admission/server-limits.js";
import { drainingError, type CallContext, type CallObserver } from "./calls/call-context.js";
import type { ServerConfig } from "./cli/server-config.js";
import type { EngineDescription } from "./engine/engine-messages.js";
import type { EngineStep, EngineStepResult } from "./scheduler/engine-step.js";
import { StepLoop, type StepObserver } from "./engine/step-loop.js";
import type { Owner } from "./scheduler/job.js";
import { Scheduler } from "./scheduler/scheduler.js";
import { KvPool } from "./sessions/kv-pool.js";
import type { SignalStore } from "./store/signal-store.js";
import { PrefixTree } from "./sessions/prefix-tree.js";

/** 1 MiB, stated in the contract. */
export const MAX_MESSAGE_BYTES = 1 << 20;

/** Positions a stream gains per turn of the round robin: a block of drafts, or a piece of a prompt. */
const QUANTUM = 64;

const SIGNAL_PARTS = [
  "top",
  "lse",
  "taus",
  "token",
  "at",
  "moments",
  "draws",
  "draw_weights",
  "log_probs",
  "dense",
  "hidden",
  "projections",
];

export interface TeacherServiceOptions {
  readonly config: ServerConfig;
  readonly modelName: string;
  readonly version: string;
  readonly run: (step: EngineStep) => Promise<EngineStepResult>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly stepObserver: StepObserver;
  readonly callObserver: CallObserver;
  readonly store: SignalStore | undefined;
  /** Memory of this process before it serves anybody. */
  readonly serverBytes: number;
}

/** The teacher behind the gRPC handlers: scheduler, KV account and step loop around whatever computes steps. */
export class TeacherService {
  readonly #options: TeacherServiceOptions;
  #description: EngineDescription | undefined;
  #context: Omit<CallContext, "admission"> | undefined;
  #loop: StepLoop | undefined;
  #pool: KvPool | undefined;
  #prefixes: PrefixTree | undefined;
  #admission: Admission | undefined;
  #engineUp = false;
  #draining = false;
  #nextCache = 1;

  constructor(options: TeacherServiceOptions) {
    this.#options = options;
  }

  get ready(): boolean {
    return this.#engineUp && !this.#draining;
  }

  get loop(): StepLoop | undefined {
    return this.#loop;
  }

  get admission(): Admission | undefined {
    return this.#admission;
  }

  get pool(): KvPool | undefined {
    return this.#pool;
  }

  get storeMemoryBytes(): number {
    return this.#options.store?.memoryBytes ?? 0;
  }

  get storeDiskBytes(): number {
    return this.#options.store?.diskBytes ?? 0;
  }

  get prefixes(): PrefixTree | undefined {
    return this.#prefixes;
  }

  /** The engine has loaded its model, for the first time or again.
   * @throws TandemError FAILED_PRECONDITION when it is not the same model as before. */
  engineUp(description: EngineDescription): void {
    const before = this.#description;
    if (before !== undefined && before.weights.digest !== description.weights.digest) {
      throw new TandemError(
        "FAILED_PRECONDITION",
        "the model's files have changed under the running server; restart it",
      );
    }
    this.#description = description;
    if (this.#loop === undefined) this.#build(description);
    this.#engineUp = true;
    this.#loop?.engineUp();
  }

  engineDown(error: TandemError): void {
    this.#engineUp = false;
    this.#loop?.engineDown(error);
  }

  /** From now on nothing new is taken. */
  startDraining(): void {
    this.#draining = true;
  }

  close(): void {
    this.#loop?.close();
  }

  /** For one stream of this owner.
   * @throws TandemError UNAVAILABLE while the model is loading. */
  context(owner: Owner): CallContext {
    if (this.#context === undefined || this.#admission === undefined) throw loadingError();
    return { ...this.#context, admission: new StreamAdmission(this.#admission, owner) };
  }

  /** @throws TandemError UNAVAILABLE while the model is loading. */
  describe(): DescribeResponse {
    const description = this.#description;
    if (description === undefined || this.#context === undefined) throw loadingError();
    const { limits } = this.#context;
    return {
      model: this.#options.modelName,
      serverVersion: this.#options.version,
      weightsDigest: description.weights.digest,
      numericsId: description.numericsId,
      architecture: description.architecture,
      vocabSize: description.vocabSize,
      paddedVocabSize: description.paddedVocabSize,
      tokenizerFingerprint: description.tokenizerFingerprint,
      tokenizerManifest: description.tokenizerManifest,
      contextLength: description.contextLength,
      hiddenSize: description.hiddenSize,
      layers: description.layers,
      queryWidth: description.heads * description.headDim,
      keyWidth: description.kvHeads * description.headDim,
      dtype: description.dtype,
      eosIds: [...description.eosIds],
      limits: {
        maxMessageBytes: limits.maxMessageBytes,
        maxTopK: Math.min(limits.maxTopK, limits.vocabSize),
        maxTaus: limits.maxTaus,
        maxDraws: limits.maxDraws,
        maxAtIds: limits.maxAtIds,
        maxDenseBytes: Math.min(limits.maxDenseBytes, this.#admission?.limitBytes ?? Infinity),
        maxDraftTokens: limits.maxDraftTokens,
        maxSequences: limits.maxSequences,
        maxItemsInFlight: limits.maxItemsInFlight,
      },
      signalParts: SIGNAL_PARTS,
      ...(description.divergence && { divergence: description.divergence }),
    };
  }

  #createAdmission(engine: EngineDescription): Admission {
    const { config, clock, logger, serverBytes } = this.#options;
    const machineBytes = Math.min(totalmem(), process.constrainedMemory() || Infinity);
    const limitBytes = planRequestBytes({
      limitBytes: config.memoryLimit,
      machineBytes,
      serverBytes,
      kvBytes: config.kvCacheMemoryBytes + prefixBytes(config),
      maxBatchTokens: config.maxNumBatchedTokens,
      maxTaus: config.maxTaus,
      engine,
    });
    logger.info({ event: "memory.planned", requestBytes: limitBytes }, "memory for items");
    return new Admission({ limitBytes, maxQueueMs: config.maxQueueMs, clock });
  }

  #build(description: EngineDescription): void {
    const { config, clock, logger, run, stepObserver, callObserver, store } = this.#options;
    const pool = new KvPool({
      limitBytes: config.kvCacheMemoryBytes,
      cacheBytes: (maxLength) => kvBytes(description, maxLength),
    });
    const prefixes = new PrefixTree(Math.floor(prefixBytes(config) / kvBlockBytes(description)));
    const scheduler = new Scheduler(
      {
        maxBatchTokens: config.maxNumBatchedTokens,
        // A draft of low priority must fit in too, or it would never be computed.
        maxTokensBesideDrafts: Math.max(config.maxTokensBesideDrafts, config.maxDraftTokens),
        maxRows: config.maxNumSeqs,
        maxWaitMs: config.maxWaitMs,
        quantum: QUANTUM,
      },
      pool,
      prefixes,
    );
    const admission = this.#createAdmission(description);
    this.#admission = admission;
    const observer: StepObserver = {
      onStep: (step, result, elapsedMs) => {
        if (loop.leftWaiting > 0) admission.onFullStep(result.computedPositions, elapsedMs);
        stepObserver.onStep(step, result, elapsedMs);
      },
    };
    const loop: StepLoop = new StepLoop({ scheduler, run, clock, logger, observer });
    this.#pool = pool;
    this.#prefixes = prefixes;
    this.#loop = loop;
    this.#context = {
      limits: toLimits(config, description),
      loop,
      pool,
      teacher: {
        weightsDigest: description.weights.digest,
        numericsId: description.numericsId,
        vocabSize: description.vocabSize,
      },
      store,
      clock,
      logger,
      observer: callObserver,
      nextCache: () => this.#nextCache++,
      assertAccepting: () => {
        if (this.#draining) throw drainingError();
      },
      sessionLeaseMs: config.sessionLeaseMs,
    };
  }
}

function toLimits(config: ServerConfig, description: EngineDescription): ServerLimits {
  return {
    vocabSize: description.vocabSize,
    contextLength: description.contextLength,
    layers: description.layers,
    hiddenSize: description.hiddenSize,
    queryWidth: description.heads * description.headDim,
    keyWidth: description.kvHeads * description.headDim,
    maxMessageBytes: MAX_MESSAGE_BYTES,
    maxTopK: config.maxLogprobs,
    maxTaus: config.maxTaus,
    maxDraws: config.maxDraws,
    maxAtIds: config.maxAtIds,
    maxDenseBytes: config.maxDenseBytes,
    // A block is judged in one step.
    maxDraftTokens: Math.min(config.maxDraftTokens, config.maxNumBatchedTokens),
    maxSequences: config.maxSequences,
    maxItemsInFlight: config.maxItemsInFlight,
    maxCachedLength: longestCached(config.kvCacheMemoryBytes, description),
  };
}

function prefixBytes(config: ServerConfig): number {
  return config.enablePrefixCaching ? config.prefixCacheMemoryBytes : 0;
}

/** The longest sequence whose cache fits into the pool when it is alone. */
function longestCached(limitBytes: number, description: EngineDescription): number {
  let [fits, tooLong] = [0, description.contextLength + 1];
  while (tooLong - fits > 1) {
    const middle = (fits + tooLong) >> 1;
    if (kvBytes(description, middle) <= limitBytes) fits = middle;
    else tooLong = middle;
  }
  return fits;
}

function loadingError(): TandemError {
  return new TandemError("UNAVAILABLE", "the model is loading; try again", { retryDelayMs: 1000 });
}
