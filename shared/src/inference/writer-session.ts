import type { ModelConfig } from "../checkpoint/model-config.js";
import { placeValues } from "../models/decoder.js";
import { allOf, firstOf, lastOf, ROUNDS } from "../onnx/lower/lower-loop.js";
import { serializeLoop } from "../onnx/serialize.js";
import { f32Tensor, i64Tensor, type HostTensor } from "../runtime/host-tensor.js";
import { createOrtSession } from "../runtime/ort-session.js";
import type { Session } from "../runtime/session.js";
import type { BoundWeights } from "./bound-weights.js";
import type { KvBucket } from "./kv-bucket.js";
import type { WriterBatch } from "./writer-batch.js";
import { buildWriterLoop, nextOf, writerNames } from "./writer-graph.js";

export interface WriterOutput {
  /** i64 [T,R]. */
  readonly drawn: BigInt64Array;
  /** f64 [T,R]: not finite where the model computed NaN. */
  readonly mass: Float64Array;
  /** Number of blocks. */
  readonly layers: number;
  /** Keys and values of all packed tokens, f32 [M,KH·d] each. */
  keys(layer: number): Float32Array;
  values(layer: number): Float32Array;
}

/** A small model as a native session that writes several tokens per row in one run: what a run costs beside its arithmetic is paid once. */
export class WriterSession {
  readonly #session: Session;
  readonly #config: ModelConfig;

  private constructor(session: Session, config: ModelConfig) {
    this.#session = session;
    this.#config = config;
  }

  static async create(
    config: ModelConfig,
    weights: BoundWeights,
    { vocabulary, threads }: { vocabulary: number; threads: number },
  ): Promise<WriterSession> {
    const model = serializeLoop(buildWriterLoop(config, weights, vocabulary));
    return new WriterSession(
      await createOrtSession(model, { threads, ...weights.session }),
      config,
    );
  }

  /** Writes for rows that occupy neighbouring slots of the bucket, the first of them `firstSlot`. The slots are read, not written. */
  async run(
    batch: WriterBatch,
    { bucket, firstSlot }: { bucket: KvBucket; firstSlot: number },
  ): Promise<WriterOutput> {
    const { layers, kvHeads, headDim } = this.#config;
    const width = kvHeads * headDim;
    const feeds = this.#feeds(batch);
    const fetches = [allOf("drawn"), allOf("mass")];
    for (let layer = 0; layer < layers; layer++) {
      const { slots, written } = writerNames(layer);
      const { key, value } = bucket.view(layer, firstSlot, batch.rows);
      const shape = [batch.rows, bucket.slotLength, width];
      feeds[firstOf(slots[0])] = f32Tensor(key, shape);
      feeds[firstOf(slots[1])] = f32Tensor(value, shape);
      for (const name of written) {
        feeds[firstOf(name)] = f32Tensor(new Float32Array(0), [0, width]);
        fetches.push(lastOf(nextOf(name)));
      }
    }
    const results = await this.#session.run(feeds, fetches);
    const written = (layer: number, index: 0 | 1) =>
      results[lastOf(nextOf(writerNames(layer).written[index]))]!.data as Float32Array;
    return {
      layers,
      drawn: results[allOf("drawn")]!.data as BigInt64Array,
      mass: results[allOf("mass")]!.data as Float64Array,
      keys: (layer) => written(layer, 0),
      values: (layer) => written(layer, 1),
    };
  }

  async close(): Promise<void> {
    await this.#session.close();
  }

  #feeds(batch: WriterBatch): Record<string, HostTensor> {
    const { rounds, rows, positions, uniforms, temperatures, greedy } = batch;
    const vector = (values: readonly number[]) => i64Tensor(values, [values.length]);
    const perRow = (values: readonly number[]) => i64Tensor(values, [rounds, rows]);
    const counting = Array.from({ length: Math.max(...batch.widths) }, (_, i) => i);
    return {
      [ROUNDS]: i64Tensor([rounds], []),
      [firstOf("ids")]: i64Tensor(batch.ids, [batch.ids.length]),
      begins: vector(batch.begins),
      widths: vector(batch.widths),
      counting: vector(counting),
      pack: vector(batch.pack),
      starts: perRow(batch.starts),
      offsets: perRow(batch.offsets),
      ends: perRow(batch.ends),
      rowOf: vector(batch.rowOf),
      uniforms: { dtype: "f64", shape: [rounds, rows, 1], data: uniforms },
      temperatures: f32Tensor(temperatures, [rows, 1]),
      greedy: { dtype: "bool", shape: [rows], data: greedy },
      ...this.#places(positions),
    };
  }

  #places(positions: Uint32Array): Record<string, HostTensor> {
    const values = placeValues(this.#config, positions);
    const count = positions.length;
    if (values.kind === "learned") return { positions: i64Tensor(values.positions, [count]) };
    return {
      cos: f32Tensor(values.cos, [count, values.width]),
      sin: f32Tensor(values.sin, [count, values.width]),
    };
  }
}
