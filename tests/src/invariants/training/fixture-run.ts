/** A run small enough to be repeated many times: a tiny Llama, and a source whose rollouts depend on its own state and on the weights
 * published last, so that a wrong cursor or a wrong moment of publishing changes the loss curve. */
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LlamaConfig } from "@tandem/shared/checkpoint/model-config.js";
import { philox4x32 } from "@tandem/shared/numeric/philox.js";
import { initFromScratch } from "@tandem/student-trainer/checkpoint/init-student.js";
import { LossSet, lossesSchema } from "@tandem/student-trainer/losses/loss-set.js";
import { optimizerSchema } from "@tandem/student-trainer/optim/optimizer-config.js";
import {
  AUTHOR,
  type Rollout,
  type RolloutBatch,
} from "@tandem/student-trainer/rollout/rollout.js";
import type { JsonValue, RolloutSource } from "@tandem/student-trainer/training/rollout-source.js";
import { readRunLog } from "@tandem/student-trainer/training/run-log.js";
import { deterministicPart } from "../../helpers/deterministic-part.js";
import { runTraining } from "@tandem/student-trainer/training/trainer.js";
import type {
  PlainText,
  TrainerOptions,
} from "@tandem/student-trainer/training/trainer-options.js";
import { trainingSchema } from "@tandem/student-trainer/training/training-config.js";

export const TINY_LLAMA: LlamaConfig = {
  family: "llama",
  vocabSize: 13,
  hiddenSize: 16,
  layers: 2,
  heads: 2,
  kvHeads: 1,
  headDim: 8,
  intermediateSize: 24,
  contextLength: 64,
  tiedHead: true,
  activation: "silu",
  normEps: 1e-5,
  initializerRange: 0.2,
  bosTokenId: null,
  eosTokenIds: [1],
  qkvBias: false,
  outputBias: false,
  mlpBias: false,
  qkNorm: false,
  rope: { theta: 10_000, scaling: { kind: "none" } },
};

const NO_STATS = { judged: 0, accepted: 0, replaced: 0, computedPositions: 0 };
export const ROLLOUTS_PER_BATCH = 6;

/** Text drawn from Philox, mixed with the bits of the published weights. */
export class WeightedText implements RolloutSource {
  #next = 0;
  #weights = 0;
  readonly #failBatch: number;
  readonly #badTokens: boolean;

  constructor(failBatch = -1, badTokens = false) {
    this.#failBatch = failBatch;
    this.#badTokens = badTokens;
  }

  publish(weights: ReadonlyMap<string, Float32Array>): void {
    let hash = 0;
    for (const values of weights.values()) {
      const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
      for (const word of bits) hash = (Math.imul(hash, 31) + word) >>> 0;
    }
    this.#weights = hash;
  }

  async next(): Promise<RolloutBatch> {
    const index = this.#next;
    if (index === this.#failBatch) throw new Error(`no batch ${index}`);
    this.#next += 1;
    const rollouts = Array.from({ length: ROLLOUTS_PER_BATCH }, (_, row) =>
      this.#rollout(index, row),
    );
    return { index, rollouts, stats: NO_STATS, teacherWaitMs: 0, seconds: 0 };
  }

  #rollout(index: number, row: number): Rollout {
    const words = (position: number) => philox4x32([index, row, position, 99], [this.#weights, 1]);
    const length = 3 + ((words(0)[0] as number) % 9);
    const response = Uint32Array.from(
      { length },
      (_, at) => (words(at + 1)[0] as number) % TINY_LLAMA.vocabSize,
    );
    return {
      row,
      sample: 0,
      epoch: index,
      prompt: Uint32Array.of(2, 3 + (row % 5)),
      response: this.#badTokens ? response.fill(99) : response,
      authors: new Uint8Array(length).fill(AUTHOR.student),
      finish: "length",
      stats: NO_STATS,
    };
  }

  state(): JsonValue {
    return { next: this.#next };
  }

  restore(state: JsonValue): void {
    this.#next = (state as { next: number }).next;
  }
}

export interface RunVariant {
  readonly runDir: string;
  readonly training?: Record<string, unknown>;
  readonly resume?: boolean;
  /** Abort once this step is done. */
  readonly abortAfter?: number;
  readonly configDigest?: string;
  readonly learningRate?: number;
  /** Steps in a thread of their own; starting one takes longer than the tiny run. */
  readonly ownThread?: boolean;
  readonly plainText?: PlainText;
  /** The source gives ids that the model does not have. */
  readonly badTokens?: boolean;
  /** The source fails when asked for this batch. */
  readonly failBatch?: number;
}

/** Runs it with a new process's worth of objects: model, source, trainer. */
export async function runTiny({
  runDir,
  training = {},
  resume = false,
  abortAfter,
  configDigest = "digest",
  learningRate = 0.01,
  failBatch = -1,
  ownThread = false,
  badTokens = false,
  plainText,
}: RunVariant): Promise<Awaited<ReturnType<typeof runTraining>>> {
  const source = new WeightedText(failBatch, badTokens);
  const controller = new AbortController();
  const options: TrainerOptions = {
    model: initFromScratch(TINY_LLAMA, 7),
    losses: new LossSet(lossesSchema.parse([{ name: "cross-entropy" }])),
    training: trainingSchema.parse({
      rounds: 4,
      numIterations: 2,
      minibatchSize: 4,
      evaluateEvery: 3,
      checkpointEvery: 1,
      keepCheckpoints: 3,
      seed: 5,
      threads: 1,
      ...training,
    }),
    optimizer: optimizerSchema.parse({ learningRate, warmupSteps: 3, schedule: "cosine" }),
    source,
    plainText,
    rolloutBatchSize: ROLLOUTS_PER_BATCH,
    publishWeights: async (weights) => source.publish(weights),
    evaluate: async (step) => ({ accuracy: step / 100 }),
    runDir,
    configDigest,
    resume,
    clock: { nowMs: () => 0 },
    ownThread,
    abort: controller.signal,
    onStep: ({ step }) => {
      if (step === abortAfter) controller.abort();
    },
  };
  return runTraining(options);
}

/** The loss curve, floats as they are in the file. */
export async function curveOf(runDir: string): Promise<readonly unknown[]> {
  return (await readRunLog(join(runDir, "metrics.jsonl"))).map(deterministicPart);
}

export async function temporaryRun(): Promise<string> {
  return mkdtemp(join(tmpdir(), "tandem-run-"));
}
