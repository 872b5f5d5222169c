import type { ModelConfig } from "../checkpoint/model-config.js";
import { placeValues } from "../models/decoder.js";
import { serializeGraph } from "../onnx/serialize.js";
import { f32Tensor, i64Tensor, type HostTensor } from "../runtime/host-tensor.js";
import { createOrtSession } from "../runtime/ort-session.js";
import type { Session } from "../runtime/session.js";
import { slotNames } from "./body-graph.js";
import type { BoundWeights } from "./bound-weights.js";
import type { KvBucket } from "./kv-bucket.js";
import type { WriterBatch } from "./writer-batch.js";
import { buildWriterGraph, type WriterOptions } from "./writer-graph.js";

export interface WriterOutput {
  /** i64 [T·R]. */
  readonly drawn: BigInt64Array;
  /** f64 [T·R]: not finite where the model computed NaN. */
  readonly mass: Float64Array;
  /** Number of blocks. */
  readonly layers: number;
  /** Keys and values in the batch's order, f32 [W,KH·d] each. */
  keys(layer: number): Float32Array;
  values(layer: number): Float32Array;
}

/** A small model as a native session that writes several tokens per row in one run. */
export class WriterSession {
  readonly rounds: number;
  readonly #session: Session;
  readonly #config: ModelConfig;

  private constructor(session: Session, config: ModelConfig, rounds: number) {
    this.rounds = rounds;
    this.#session = session;
    this.#config = config;
  }

  static async create(
    config: ModelConfig,
    weights: BoundWeights,
    { threads, ...options }: WriterOptions & { readonly threads: number },
  ): Promise<WriterSession> {
    const model = serializeGraph(buildWriterGraph(config, weights, options));
    const session = await createOrtSession(model, { threads, ...weights.session });
    return new WriterSession(session, config, options.rounds);
  }

  /** Writes for rows that occupy neighbouring slots of the bucket, the first of them `firstSlot`. The slots are read, not written.
   * batch: of this session's number of rounds. */
  async run(
    batch: WriterBatch,
    { bucket, firstSlot }: { bucket: KvBucket; firstSlot: number },
  ): Promise<WriterOutput> {
    const { layers, kvHeads, headDim } = this.#config;
    const feeds = this.#feeds(batch);
    const fetches = ["drawn", "mass"];
    const shape = [batch.rows, bucket.slotLength, kvHeads * headDim];
    for (let layer = 0; layer < layers; layer++) {
      const { keySlots, valueSlots, newKeys, newValues } = slotNames(layer);
      const { key, value } = bucket.view(layer, firstSlot, batch.rows);
      feeds[keySlots] = f32Tensor(key, shape);
      feeds[valueSlots] = f32Tensor(value, shape);
      fetches.push(newKeys, newValues);
    }
    const results = await this.#session.run(feeds, fetches);
    return {
      layers,
      drawn: results["drawn"]!.data as BigInt64Array,
      mass: results["mass"]!.data as Float64Array,
      keys: (layer) => results[slotNames(layer).newKeys]!.data as Float32Array,
      values: (layer) => results[slotNames(layer).newValues]!.data as Float32Array,
    };
  }

  async close(): Promise<void> {
    await this.#session.close();
  }

  #feeds(batch: WriterBatch): Record<string, HostTensor> {
    const { rounds, rows, first, laterTokens } = batch;
    const vector = (values: BigInt64Array) => i64Tensor(values, [values.length]);
    const rowOf = Array.from({ length: laterTokens }, (_, n) => Math.min(n, rows - 1));
    return {
      ids: vector(first.ids),
      pack: vector(first.pack),
      unpack: i64Tensor(first.unpack, [rows, first.width]),
      latest: vector(batch.latest),
      ...this.#places(first.positions, { shape: [first.positions.length] }),
      "later.rows": i64Tensor(rowOf, [laterTokens]),
      "later.pack": i64Tensor(
        rowOf.map((row) => 2 * row),
        [laterTokens],
      ),
      "later.unpack": i64Tensor(
        Array.from({ length: 2 * rows }, (_, at) => at >> 1),
        [rows, 2],
      ),
      "later.latest": i64Tensor(
        Array.from({ length: rows }, (_, row) => row),
        [rows],
      ),
      ...this.#places(batch.laterPositions, { prefix: "later.", shape: [rounds - 1, laterTokens] }),
      starts: i64Tensor(batch.starts, [rounds, rows]),
      order: vector(batch.order),
      uniforms: { dtype: "f64", shape: [rounds, rows, 1], data: batch.uniforms },
      temperatures: f32Tensor(batch.temperatures, [rows, 1]),
      greedy: { dtype: "bool", shape: [rows], data: batch.greedy },
    };
  }

  #places(
    positions: Uint32Array,
    { prefix = "", shape }: { readonly prefix?: string; readonly shape: readonly number[] },
  ): Record<string, HostTensor> {
    const values = placeValues(this.#config, positions);
    if (values.kind === "learned")
      return { [`${prefix}positions`]: i64Tensor(values.positions, shape) };
    const angles = [...shape, values.width];
    return {
      [`${prefix}cos`]: f32Tensor(values.cos, angles),
      [`${prefix}sin`]: f32Tensor(values.sin, angles),
    };
  }
}
