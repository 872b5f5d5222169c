import type { ModelConfig } from "../checkpoint/model-config.js";
import { placeValues } from "../models/decoder.js";
import { serializeGraph } from "../onnx/serialize.js";
import { f32Tensor, i64Tensor, type HostTensor } from "../runtime/host-tensor.js";
import { createOrtSession } from "../runtime/ort-session.js";
import type { Session } from "../runtime/session.js";
import { buildBodyGraph, slotNames, stateName } from "./body-graph.js";
import type { BoundWeights } from "./bound-weights.js";
import type { BodyBatch } from "./collate.js";
import type { KvBucket } from "./kv-bucket.js";

export interface BodyOutput {
  /** Number of blocks. */
  readonly layers: number;
  /** f32 [N,D], behind the final norm. */
  readonly hidden: Float32Array;
  /** Keys and values of the new tokens, f32 [N,KH·d] each. */
  keys(layer: number): Float32Array;
  values(layer: number): Float32Array;
  /** A hidden state that was asked for: of the residual stream f32 [M,D], at the rows asked for; of what a block projects f32 [N,·]. */
  state(number: number): Float32Array;
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
    { threads, spin = false }: { readonly threads: number; readonly spin?: boolean },
  ): Promise<BodySession> {
    const model = serializeGraph(buildBodyGraph(config, weights));
    // Sizes change with every batch: a memory pattern would be planned anew each time.
    return new BodySession(
      await createOrtSession(model, { threads, spin, memoryPattern: false, ...weights.session }),
      config,
    );
  }

  /** Computes a batch whose rows occupy neighbouring slots of the bucket, the first of them `firstSlot`. The slots are read, not written. */
  async run(
    batch: BodyBatch,
    {
      bucket,
      firstSlot,
      hiddenRows,
      states,
    }: {
      bucket: KvBucket;
      firstSlot: number;
      hiddenRows: readonly number[];
      /** Numbers of the hidden states that are wanted at these rows. */
      states: ReadonlySet<number>;
    },
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
    const slotShape = [batch.rows, bucket.slotLength, kvHeads * headDim];
    for (let i = 0; i < layers; i++) {
      const names = slotNames(i);
      const { key, value } = bucket.view(i, firstSlot, batch.rows);
      feeds[names.keySlots] = f32Tensor(key, slotShape);
      feeds[names.valueSlots] = f32Tensor(value, slotShape);
      fetches[names.newKeys] = null;
      fetches[names.newValues] = null;
    }
    if (hiddenRows.length > 0) for (const number of states) fetches[stateName(number)] = null;
    const results = await this.#session.run(feeds, fetches);
    const f32 = (name: string) => results[name]!.data as Float32Array;
    return {
      layers,
      hidden: f32("hidden"),
      keys: (layer) => f32(slotNames(layer).newKeys),
      values: (layer) => f32(slotNames(layer).newValues),
      state: (number) => f32(stateName(number)),
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
