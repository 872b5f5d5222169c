import type { ModelConfig } from "../checkpoint/model-config.js";
import { placeValues } from "../models/decoder.js";
import { serializeGraph } from "../onnx/serialize.js";
import { f32Tensor, i64Tensor, type HostTensor } from "../runtime/host-tensor.js";
import { createOrtSession } from "../runtime/ort-session.js";
import type { Session } from "../runtime/session.js";
import { buildBodyGraph, slotNames } from "./body-graph.js";
import type { BoundWeights } from "./bound-weights.js";
import type { BodyBatch } from "./collate.js";
import type { KvBucket } from "./kv-bucket.js";

export interface BodyOutput {
  /** f32 [N,D], behind the final norm. */
  readonly hidden: Float32Array;
  /** Residual stream at the rows asked for, f32 [M,D] per layer. */
  layer(index: number): Float32Array;
}

/** The transformer as a native session over KV slots. */
export class BodySession {
  readonly #session: Session;
  readonly #config: ModelConfig;

  private constructor(session: Session, config: ModelConfig) {
    this.#session = session;
    this.#config = config;
  }

  static async create(
    config: ModelConfig,
    weights: BoundWeights,
    threads: number,
  ): Promise<BodySession> {
    const model = serializeGraph(buildBodyGraph(config, weights));
    const directory = weights.directory === undefined ? {} : { externalDataDir: weights.directory };
    // Sizes change with every batch: a memory pattern would be planned anew each time.
    return new BodySession(
      await createOrtSession(model, { threads, memoryPattern: false, ...directory }),
      config,
    );
  }

  /** Computes a batch whose rows occupy neighbouring slots of the bucket, the first of them `firstSlot`; writes their keys and values. */
  async run(
    batch: BodyBatch,
    {
      bucket,
      firstSlot,
      hiddenRows,
    }: { bucket: KvBucket; firstSlot: number; hiddenRows: readonly number[] },
  ): Promise<BodyOutput> {
    const { layers, kvHeads, headDim } = this.#config;
    const N = batch.ids.length;
    const feeds: Record<string, HostTensor> = {
      ids: i64Tensor(batch.ids, [N]),
      pack: i64Tensor(batch.pack, [N]),
      unpack: i64Tensor(batch.unpack, [batch.rows, batch.width]),
      starts: i64Tensor(batch.starts, [batch.rows]),
      hiddenRows: i64Tensor(hiddenRows, [hiddenRows.length]),
      ...this.#places(batch.positions),
    };
    const fetches: Record<string, HostTensor | null> = { hidden: null };
    const slotShape = [batch.rows, kvHeads, bucket.slotLength, headDim];
    for (let i = 0; i < layers; i++) {
      const names = slotNames(i);
      const { key, value } = bucket.view(i, firstSlot, batch.rows);
      // The same buffers are fed and fetched: keys and values are written in place.
      feeds[names.keyIn] = fetches[names.keyOut] = f32Tensor(key, slotShape);
      feeds[names.valueIn] = fetches[names.valueOut] = f32Tensor(value, slotShape);
    }
    if (hiddenRows.length > 0) for (let i = 0; i <= layers; i++) fetches[`layer.${i}`] = null;
    const results = await this.#session.run(feeds, fetches);
    return {
      hidden: results["hidden"]!.data as Float32Array,
      layer: (index) => results[`layer.${index}`]!.data as Float32Array,
    };
  }

  async close(): Promise<void> {
    await this.#session.close();
  }

  #places(positions: Uint32Array): Record<string, HostTensor> {
    const N = positions.length;
    const values = placeValues(this.#config, positions);
    if (values.kind === "learned") return { positions: i64Tensor(values.positions, [N]) };
    return {
      cos: f32Tensor(values.cos, [N, values.width]),
      sin: f32Tensor(values.sin, [N, values.width]),
    };
  }
}
