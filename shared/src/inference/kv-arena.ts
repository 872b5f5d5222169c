import { invariant } from "../errors/invariant.js";
import { TandemError } from "../errors/tandem-error.js";
import { KV_BLOCK, KvBlocks } from "./kv-blocks.js";
import { KvBucket } from "./kv-bucket.js";
import type { KvShape } from "./kv-shape.js";
import type { BlockPlace } from "./step.js";

interface Row {
  slotLength: number;
  /** Positions that hold what the model computed for the row's tokens. */
  length: number;
}

export interface KvMemory {
  /** Bytes of slots that rows occupy. */
  readonly usedBytes: number;
  /** Bytes of all slots there are. */
  readonly allocatedBytes: number;
  readonly limitBytes: number;
}

/** The KV caches of all rows under one byte limit, in buckets of equal slot length; beside them, under the caller's limit, blocks for reuse. */
export class KvArena {
  readonly #shape: KvShape;
  readonly #limitBytes: number;
  readonly #rows = new Map<number, Row>();
  readonly #buckets = new Map<number, KvBucket>();
  readonly #blocks: KvBlocks;

  constructor(shape: KvShape, limitBytes: number) {
    this.#shape = shape;
    this.#blocks = new KvBlocks(shape);
    this.#limitBytes = limitBytes;
  }

  get memory(): KvMemory {
    let usedBytes = 0;
    let allocatedBytes = 0;
    for (const bucket of this.#buckets.values()) {
      usedBytes += (bucket.capacity - bucket.free) * bucket.slotBytes;
      allocatedBytes += bucket.capacity * bucket.slotBytes;
    }
    return { usedBytes, allocatedBytes, limitBytes: this.#limitBytes };
  }

  /** Valid positions of a cache; 0 when it does not exist. */
  lengthOf(cache: number): number {
    return this.#rows.get(cache)?.length ?? 0;
  }

  has(cache: number): boolean {
    return this.#rows.has(cache);
  }

  bucketOf(cache: number): KvBucket {
    return this.#bucket(this.#row(cache).slotLength);
  }

  /** Makes sure that a cache exists in a slot of at least this length; a row that has to grow moves with its first `keep` positions.
   * @throws TandemError RESOURCE_EXHAUSTED when the byte limit does not allow it; the row is as before then. */
  ensure(cache: number, slotLength: number, keep: number): void {
    const row = this.#rows.get(cache);
    if (row !== undefined && row.slotLength >= slotLength) return;
    if (row === undefined) {
      this.#reserve(slotLength);
      this.#bucket(slotLength).place(cache);
      this.#rows.set(cache, { slotLength, length: 0 });
    } else {
      this.#grow(cache, row, { slotLength, keep });
    }
  }

  #grow(cache: number, row: Row, { slotLength, keep }: { slotLength: number; keep: number }): void {
    const source = this.#bucket(row.slotLength);
    const target = this.#bucket(slotLength);
    if (this.#canReserve(slotLength)) {
      this.#reserve(slotLength);
      target.copyFrom(source, source.slotOf(cache), target.place(cache), keep);
      source.remove(cache);
    } else {
      // The row's own bytes may be what is missing: it waits outside while they change hands.
      const aside = new KvBucket(this.#shape, row.slotLength);
      aside.resize(1);
      aside.copyFrom(source, source.slotOf(cache), aside.place(cache), keep);
      source.remove(cache);
      try {
        this.#reserve(slotLength);
      } catch (caught) {
        this.#reserve(row.slotLength);
        source.copyFrom(aside, 0, source.place(cache), keep);
        throw caught;
      }
      target.copyFrom(aside, 0, target.place(cache), keep);
    }
    this.#rows.set(cache, { slotLength, length: keep });
  }

  hasBlock(block: number): boolean {
    return this.#blocks.has(block);
  }

  /** Keeps KV_BLOCK positions of a cache as a block. */
  saveBlock(cache: number, { block, start }: BlockPlace): void {
    invariant(this.lengthOf(cache) >= start + KV_BLOCK, `cache ${cache} holds block ${block}`);
    const bucket = this.bucketOf(cache);
    this.#blocks.save(block, bucket, { slot: bucket.slotOf(cache), start });
  }

  /** Continues a cache with a block; its slot must have room for it. */
  loadBlock(cache: number, { block, start }: BlockPlace): void {
    invariant(this.lengthOf(cache) >= start, `block ${block} joins on to cache ${cache}`);
    const bucket = this.bucketOf(cache);
    invariant(start + KV_BLOCK <= bucket.slotLength, `block ${block} fits into cache ${cache}`);
    this.#blocks.load(block, bucket, { slot: bucket.slotOf(cache), start });
    this.setLength(cache, start + KV_BLOCK);
  }

  setLength(cache: number, length: number): void {
    this.#row(cache).length = length;
  }

  /** Unknown caches are ignored: releasing is idempotent. */
  release(cache: number): void {
    const row = this.#rows.get(cache);
    if (row === undefined) return;
    this.#bucket(row.slotLength).remove(cache);
    this.#rows.delete(cache);
  }

  clear(): void {
    this.#rows.clear();
    this.#buckets.clear();
    this.#blocks.clear();
  }

  #canReserve(slotLength: number): boolean {
    const bucket = this.#bucket(slotLength);
    return bucket.free > 0 || this.memory.usedBytes + bucket.slotBytes <= this.#limitBytes;
  }

  /** A free slot in the bucket: one that is there, or a larger bucket, if need be at the cost of the free slots of others. */
  #reserve(slotLength: number): void {
    const bucket = this.#bucket(slotLength);
    if (bucket.free > 0) return;
    if (!this.#canReserve(slotLength)) {
      const { usedBytes, limitBytes } = this.memory;
      throw new TandemError(
        "RESOURCE_EXHAUSTED",
        `a KV slot of ${slotLength} positions needs ${bucket.slotBytes} bytes, but ${usedBytes} of ${limitBytes} are in use; release caches or raise kv-cache-memory-bytes`,
        { limit: limitBytes },
      );
    }
    const room = () =>
      Math.floor((this.#limitBytes - this.memory.allocatedBytes) / bucket.slotBytes);
    if (room() < 1) {
      for (const other of this.#buckets.values()) {
        if (other.free > 0) other.resize(other.capacity - other.free);
      }
    }
    bucket.resize(bucket.capacity + Math.min(room(), Math.max(1, bucket.capacity)));
  }

  #bucket(slotLength: number): KvBucket {
    let bucket = this.#buckets.get(slotLength);
    if (bucket === undefined) {
      bucket = new KvBucket(this.#shape, slotLength);
      this.#buckets.set(slotLength, bucket);
    }
    return bucket;
  }

  #row(cache: number): Row {
    const row = this.#rows.get(cache);
    invariant(row !== undefined, `cache ${cache} exists`);
    return row;
  }
}
