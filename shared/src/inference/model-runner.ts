import { CheckpointWeights } from "../checkpoint/checkpoint-weights.js";
import type { ModelConfig } from "../checkpoint/model-config.js";
import { readModelConfig } from "../checkpoint/parse-model-config.js";
import { TandemError } from "../errors/tandem-error.js";
import { countParameters } from "../models/parameters.js";
import { bindArrays, bindFiles, type BoundWeights } from "./bound-weights.js";
import { assertStep } from "./check-step.js";
import { chooseSlots, type SlotCosts } from "./choose-slots.js";
import type { OpenRequest } from "./head-runner.js";
import { KvArena, type KvMemory } from "./kv-arena.js";
import { kvBytes, kvShape } from "./kv-shape.js";
import { ModelSessions } from "./model-sessions.js";
import { OpenRow } from "./open-row.js";
import { bindQuantized, type QuantizedModel } from "./quantized-weights.js";
import { runBody } from "./run-body.js";
import type { DraftVerdict, Step, StepResult, StepRow, StepRowResult } from "./step.js";
import { toSignal } from "./to-signal.js";
import { canWrite, writeRows } from "./write-rows.js";

export interface RunnerOptions {
  /** Threads inside one operation. */
  readonly threads: number;
  /** See SessionOptions. */
  readonly spin?: boolean;
  /** V: largest token id + 1; heads with more rows are cut. Default: all rows of the embedding. */
  readonly vocabulary?: number;
  /** Longest row. Default: the model's context. */
  readonly maxLength?: number;
  /** Keep a second, cheaper head for requests that only sample: faster drafts for the memory of one more head matrix.
   * Default: for weights in memory, not for files. */
  readonly drafts?: boolean;
  /** Memory of one run of the head. Default 256 MiB. */
  readonly headBytes?: number;
  /** Memory of all KV slots. Default 1 GiB. */
  readonly kvBytes?: number;
  /** Milliseconds from any origin, to report compute time. Default `performance.now`. */
  readonly now?: () => number;
}

const DEFAULT_HEAD_BYTES = 256 << 20;
const DEFAULT_KV_BYTES = 1 << 30;

/** A decoder that answers steps: many rows at once, each with its KV cache, its head request and its own past.
 * One `run` at a time; it occupies the thread while it computes. */
export class ModelRunner {
  readonly config: ModelConfig;
  readonly vocabulary: number;
  readonly maxLength: number;
  readonly #options: RunnerOptions;
  readonly #now: () => number;
  readonly #arena: KvArena;
  readonly #slotCosts: SlotCosts;
  #sessions: ModelSessions;
  #busy = false;

  private constructor(config: ModelConfig, sessions: ModelSessions, options: RunnerOptions) {
    this.config = config;
    this.vocabulary = options.vocabulary ?? config.vocabSize;
    this.maxLength = options.maxLength ?? config.contextLength;
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#arena = new KvArena(kvShape(config), options.kvBytes ?? DEFAULT_KV_BYTES);
    const { layers, kvHeads, headDim } = config;
    this.#slotCosts = {
      runBytes: 4 * countParameters(config),
      positionBytes: 4 * 2 * layers * kvHeads * headDim,
    };
    this.#sessions = sessions;
  }

  /** A model from a Hugging Face directory; its weights stay in the .safetensors files, or come from the file that `writeQuantized` made of them.
   * @throws TandemError as `readModelConfig`, `CheckpointWeights.open` and `bindQuantized`; INVALID_ARGUMENT when vocabulary or maxLength exceed the model's. */
  static async load({
    dir,
    quantized,
    ...options
  }: RunnerOptions & {
    readonly dir: string;
    readonly quantized?: Pick<QuantizedModel, "quantization"> & {
      readonly file: string;
    };
  }): Promise<ModelRunner> {
    const config = await readModelConfig(dir);
    assertOptions(config, options);
    const vocabulary = options.vocabulary ?? config.vocabSize;
    const weights =
      quantized === undefined
        ? bindFiles(config, await CheckpointWeights.open(dir), vocabulary)
        : await bindQuantized(quantized.file, { config, vocabulary, ...quantized });
    const sessions = await createSessions(config, weights, options);
    // What is wrong with the weights, or too large, should show now and not at the first request.
    await sessions.body();
    await sessions.head.prepare();
    return new ModelRunner(config, sessions, options);
  }

  /** A model whose weights are in memory, by their `transformers` names; they are copied. */
  static async fromWeights({
    config,
    weights,
    ...options
  }: RunnerOptions & {
    readonly config: ModelConfig;
    readonly weights: ReadonlyMap<string, Float32Array>;
  }): Promise<ModelRunner> {
    assertOptions(config, options);
    const bound = bindArrays(config, weights, options.vocabulary ?? config.vocabSize);
    const withDrafts = { drafts: true, ...options };
    return new ModelRunner(config, await createSessions(config, bound, withDrafts), withDrafts);
  }

  /** Goes on with other weights (copied). All caches are dropped: they were computed with the old ones. */
  async setWeights(weights: ReadonlyMap<string, Float32Array>): Promise<void> {
    await this.#exclusively(async () => {
      const bound = bindArrays(this.config, weights, this.vocabulary);
      const next = await createSessions(this.config, bound, this.#options);
      await this.#sessions.close();
      this.#sessions = next;
      this.#arena.clear();
    });
  }

  get memory(): KvMemory {
    return this.#arena.memory;
  }

  /** Bytes of the longest KV slot that a row with this `maxLength` ever takes. */
  bytesFor(maxLength: number): number {
    return kvBytes(kvShape(this.config), maxLength);
  }

  /** Valid positions of a cache; 0 when it does not exist. */
  lengthOf(cache: number): number {
    return this.#arena.lengthOf(cache);
  }

  /** Computes a step.
   * @throws TandemError INVALID_ARGUMENT, OUT_OF_RANGE, FAILED_PRECONDITION for a step that makes no sense, RESOURCE_EXHAUSTED when
   * the KV memory does not suffice: in all these cases nothing was computed. */
  async run(step: Step): Promise<StepResult> {
    return this.#exclusively(async () => {
      const begin = this.#now();
      assertStep(step, {
        vocabulary: this.vocabulary,
        maxLength: this.maxLength,
        layers: this.config.layers,
        lengthOf: (cache) => this.#arena.lengthOf(cache),
        hasBlock: (block) => this.#arena.hasBlock(block),
      });
      const writing = step.rows.filter((row) => this.#canWrite(row));
      this.#prepareCaches(step, new Set(writing));
      const written = await this.#write(writing);
      const rows = step.rows
        .filter((row) => !written.has(row))
        .map((row) => new OpenRow(row, this.config, this.vocabulary));
      await this.#runBody(rows);
      for (const { row, failed } of rows) {
        if (!failed) for (const place of row.save ?? []) this.#arena.saveBlock(row.cache, place);
      }
      const sane = rows.filter((row) => !row.failed && row.request !== undefined);
      const requests = sane.map((row) => row.request as OpenRequest);
      const verdicts = await this.#sessions.head.answer(requests);
      const answered = new Map(rows.map((open) => [open.row, toRowResult(open, verdicts)]));
      return {
        rows: step.rows.map((row) => (written.get(row) ?? answered.get(row))!),
        computeMs: this.#now() - begin,
        computedPositions: step.rows.reduce(
          (sum, row) => sum + row.tokens.length + (written.get(row)?.ahead?.length ?? 0),
          0,
        ),
        headPositions: [...written.values()].reduce(
          (sum, { ahead }) => sum + 1 + (ahead?.length ?? 0),
          requests.reduce((sum, { answers }) => sum + answers.count, 0),
        ),
      };
    });
  }

  async close(): Promise<void> {
    await this.#sessions.close();
    this.#arena.clear();
  }

  #canWrite(row: StepRow): boolean {
    return this.#sessions.canWrite && canWrite(row, this.config.heads);
  }

  async #write(rows: readonly StepRow[]): Promise<ReadonlyMap<StepRow, StepRowResult>> {
    if (rows.length === 0) return new Map();
    return writeRows(this.#sessions, this.#arena, { rows, heads: this.config.heads });
  }

  async #runBody(rows: readonly OpenRow[]): Promise<void> {
    if (rows.length === 0) return;
    await runBody(await this.#sessions.body(), this.#arena, rows, this.config.heads);
  }

  #prepareCaches({ release, rows }: Step, writing: ReadonlySet<StepRow>): void {
    for (const cache of release) this.#arena.release(cache);
    const made: number[] = [];
    const note = (cache: number) => {
      if (!this.#arena.has(cache)) made.push(cache);
    };
    try {
      const needs = rows.map((row) => ({
        current: this.#arena.has(row.cache) ? this.#arena.bucketOf(row.cache).slotLength : 0,
        positions: row.past + row.tokens.length + (writing.has(row) ? (row.head?.ahead ?? 0) : 0),
        maxLength: row.maxLength,
        width: row.tokens.length,
      }));
      const slots = chooseSlots(needs, this.#slotCosts);
      rows.forEach(({ cache, past, load = [] }, i) => {
        note(cache);
        this.#arena.ensure(cache, slots[i]!, Math.min(past, load[0]?.start ?? past));
        for (const place of load) this.#arena.loadBlock(cache, place);
      });
    } catch (caught) {
      for (const cache of made) this.#arena.release(cache);
      throw caught;
    }
  }

  async #exclusively<T>(work: () => Promise<T>): Promise<T> {
    if (this.#busy)
      throw new TandemError(
        "FAILED_PRECONDITION",
        "the model is computing another step; run one at a time",
      );
    this.#busy = true;
    try {
      return await work();
    } finally {
      this.#busy = false;
    }
  }
}

async function createSessions(
  config: ModelConfig,
  weights: BoundWeights,
  options: RunnerOptions,
): Promise<ModelSessions> {
  const { threads, spin = false, vocabulary = config.vocabSize } = options;
  const { headBytes = DEFAULT_HEAD_BYTES, drafts = false } = options;
  return ModelSessions.create(config, weights, { vocabulary, threads, spin, headBytes, drafts });
}

function assertOptions(config: ModelConfig, { vocabulary, maxLength }: RunnerOptions): void {
  if (vocabulary !== undefined && vocabulary > config.vocabSize) {
    throw new TandemError(
      "FAILED_PRECONDITION",
      `the tokenizer has ${vocabulary} ids, the model's embedding ${config.vocabSize} rows; they do not belong together`,
      { field: "model" },
    );
  }
  if (maxLength !== undefined && maxLength > config.contextLength) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `max-model-len ${maxLength} exceeds the model's context of ${config.contextLength} positions`,
      { field: "max-model-len", limit: config.contextLength },
    );
  }
}

function toRowResult(
  open: OpenRow,
  verdicts: ReadonlyMap<OpenRequest, DraftVerdict>,
): StepRowResult {
  const { row, request } = open;
  if (open.failed) {
    const message = `the model computed values that are not finite at positions ${row.past} to ${row.past + row.tokens.length - 1}`;
    return { cache: row.cache, failure: { code: "INTERNAL", message } };
  }
  if (request === undefined) return { cache: row.cache };
  const verdict = verdicts.get(request);
  const kept =
    verdict === undefined
      ? request.answers.count
      : verdict.accepted + (verdict.replacement === undefined ? 0 : 1);
  const from = row.past + request.head.first + 1;
  const signal = toSignal(request.head, request.answers, {
    from,
    count: kept,
    layers: open.states,
  });
  const { sampled } = request.answers;
  return {
    cache: row.cache,
    ...(signal !== undefined && { signal }),
    ...(verdict !== undefined && { verdict }),
    ...(sampled !== undefined && { sampled }),
  };
}
