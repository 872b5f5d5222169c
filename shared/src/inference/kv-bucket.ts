import { invariant } from "../errors/invariant.js";
import type { KvShape } from "./kv-shape.js";

const FREE = -1;

/** Positions start … start+count−1 of a slot. */
export interface SlotStretch {
  readonly slot: number;
  readonly start: number;
  readonly count: number;
}

/** KV slots of one length. Per layer one array of keys and one of values, [slots, slotLength, kvHeads·headDim], so that
 * any run of neighbouring slots is one tensor. Knows which cache sits where and moves rows together; nothing else. */
export class KvBucket {
  readonly slotLength: number;
  readonly #shape: KvShape;
  /** keys of layer i at 2i, values at 2i+1. */
  #arrays: Float32Array<ArrayBuffer>[];
  #owners: number[] = [];
  /** Grows whenever arrays are replaced: views of an older version are dead. */
  #version = 0;

  constructor(shape: KvShape, slotLength: number) {
    this.#shape = shape;
    this.slotLength = slotLength;
    this.#arrays = Array.from({ length: 2 * shape.layers }, () => new Float32Array(0));
  }

  get slotBytes(): number {
    return 4 * this.#slotSize * this.#arrays.length;
  }

  get capacity(): number {
    return this.#owners.length;
  }

  get free(): number {
    return this.#owners.reduce((count, owner) => count + (owner === FREE ? 1 : 0), 0);
  }

  get version(): number {
    return this.#version;
  }

  /** Values per position. */
  get #width(): number {
    return this.#shape.kvHeads * this.#shape.headDim;
  }

  get #slotSize(): number {
    return this.slotLength * this.#width;
  }

  slotOf(cache: number): number {
    const slot = this.#owners.indexOf(cache);
    invariant(slot >= 0, `cache ${cache} sits in the bucket of length ${this.slotLength}`);
    return slot;
  }

  /** Takes a free slot. */
  place(cache: number): number {
    const slot = this.#owners.indexOf(FREE);
    invariant(slot >= 0, `the bucket of length ${this.slotLength} has a free slot`);
    this.#owners[slot] = cache;
    return slot;
  }

  /** Gives the slot back. What it holds stays: finite garbage behind a row's tokens does no harm. */
  remove(cache: number): void {
    this.#owners[this.slotOf(cache)] = FREE;
  }

  /** Changes the number of slots, array by array, so that only one array exists twice at a time. Occupied slots move to the front. */
  resize(capacity: number): void {
    const kept = this.#owners.flatMap((owner, slot) => (owner === FREE ? [] : [slot]));
    invariant(kept.length <= capacity, "a bucket does not shrink below its rows");
    const size = this.#slotSize;
    for (const [i, old] of this.#arrays.entries()) {
      const next = new Float32Array(capacity * size);
      kept.forEach((slot, to) => next.set(old.subarray(slot * size, (slot + 1) * size), to * size));
      this.#arrays[i] = next;
    }
    const owners = kept.map((slot) => this.#owners[slot]!);
    this.#owners = [...owners, ...Array.from({ length: capacity - owners.length }, () => FREE)];
    this.#version++;
  }

  /** Moves rows so that these caches sit in neighbouring slots; returns the first slot and the caches in slot order.
   * The window with the most of them is kept, so that rows which stay together are not moved again. */
  gather(caches: readonly number[]): {
    readonly first: number;
    readonly caches: readonly number[];
  } {
    const wanted = new Set(caches);
    const first = this.#bestWindow(wanted);
    const inside = (slot: number) => slot >= first && slot < first + caches.length;
    const strangers = Array.from({ length: caches.length }, (_, i) => first + i)
      .filter((slot) => !wanted.has(this.#owners[slot]!))
      // Free slots first: moving into one is half the work of an exchange.
      .sort((a, b) => Number(this.#owners[a] !== FREE) - Number(this.#owners[b] !== FREE));
    for (const cache of caches) {
      const slot = this.slotOf(cache);
      if (!inside(slot)) this.#exchange(slot, strangers.shift()!);
    }
    return { first, caches: this.#owners.slice(first, first + caches.length) };
  }

  /** Keys and values of one layer for `rows` slots from `first` on: views, not copies. */
  view(
    layer: number,
    first: number,
    rows: number,
  ): { readonly key: Float32Array; readonly value: Float32Array } {
    const [from, to] = [first * this.#slotSize, (first + rows) * this.#slotSize];
    return {
      key: this.#arrays[2 * layer]!.subarray(from, to),
      value: this.#arrays[2 * layer + 1]!.subarray(from, to),
    };
  }

  /** Writes one layer's keys and values of consecutive positions, rows [·,KH·d] from `row` on of what a run returned. */
  write(
    layer: number,
    { slot, start, count }: SlotStretch,
    { keys, values, row }: { keys: Float32Array; values: Float32Array; row: number },
  ): void {
    const width = this.#width;
    const at = slot * this.#slotSize + start * width;
    this.#arrays[2 * layer]!.set(keys.subarray(row * width, (row + count) * width), at);
    this.#arrays[2 * layer + 1]!.set(values.subarray(row * width, (row + count) * width), at);
  }

  /** Copies the first `length` positions of a slot (of this or another bucket) into a slot of this one. */
  copyFrom(source: KvBucket, from: number, to: number, length: number): void {
    for (const [i, target] of this.#arrays.entries()) {
      const begin = from * source.#slotSize;
      const values = source.#arrays[i]!.subarray(begin, begin + length * this.#width);
      target.set(values, to * this.#slotSize);
    }
  }

  /** Copies positions start … start+count−1 of a slot into `target`, [2·layers, count, kvHeads·headDim], or back. */
  copyOut({ slot, start, count }: SlotStretch, target: Float32Array): void {
    const size = count * this.#width;
    const at = slot * this.#slotSize + start * this.#width;
    this.#arrays.forEach((array, i) => target.set(array.subarray(at, at + size), i * size));
  }

  copyIn({ slot, start, count }: SlotStretch, source: Float32Array): void {
    const size = count * this.#width;
    const at = slot * this.#slotSize + start * this.#width;
    this.#arrays.forEach((array, i) => array.set(source.subarray(i * size, (i + 1) * size), at));
  }

  #bestWindow(wanted: ReadonlySet<number>): number {
    const hit = (slot: number) => (wanted.has(this.#owners[slot]!) ? 1 : 0);
    let hits = 0;
    for (let slot = 0; slot < wanted.size; slot++) hits += hit(slot);
    let best = { first: 0, hits };
    for (let first = 1; first + wanted.size <= this.capacity; first++) {
      hits += hit(first + wanted.size - 1) - hit(first - 1);
      if (hits > best.hits) best = { first, hits };
    }
    return best.first;
  }

  #exchange(a: number, b: number): void {
    const size = this.#slotSize;
    const moving = this.#owners[a]!;
    const displaced = this.#owners[b]!;
    for (const array of this.#arrays) {
      const kept = displaced === FREE ? undefined : array.slice(b * size, (b + 1) * size);
      array.copyWithin(b * size, a * size, (a + 1) * size);
      if (kept !== undefined) array.set(kept, a * size);
    }
    this.#owners[b] = moving;
    this.#owners[a] = displaced;
  }
}
