import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { KvArena } from "@tandem/shared/inference/kv-arena.js";
import { KV_BLOCK } from "@tandem/shared/inference/kv-blocks.js";
import { kvBytes, slotLengthFor } from "@tandem/shared/inference/kv-shape.js";

const SHAPE = { layers: 1, kvHeads: 1, headDim: 2 };
const ROW_BYTES = kvBytes(SHAPE, 32);
/** Slots of 40 positions, 72 and 136. */
const [SHORT, MIDDLE, LONG] = [slotLengthFor(32), slotLengthFor(64), slotLengthFor(128)];

/** Writes `value` at positions [start, start+count). */
function write(arena: KvArena, cache: number, start: number, values: readonly number[]): void {
  const rows = Float32Array.from(values.flatMap((value) => [value, value]));
  const bucket = arena.bucketOf(cache);
  bucket.write(
    0,
    { slot: bucket.slotOf(cache), start, count: values.length },
    { keys: rows, values: rows, row: 0 },
  );
  arena.setLength(cache, start + values.length);
}

function read(arena: KvArena, cache: number, length: number): number[] {
  const bucket = arena.bucketOf(cache);
  const { key, value } = bucket.view(0, bucket.slotOf(cache), 1);
  assert.deepEqual(key, value);
  return Array.from({ length }, (_, i) => key[2 * i]!);
}

describe("kvBytes", () => {
  it("is keys and values, f32, of every layer, over the slot's length", () => {
    // Slots of 32 positions and a margin of 8: 2 · 4 bytes · 3 layers · 2 heads · 4 values · 40.
    assert.equal(kvBytes({ layers: 3, kvHeads: 2, headDim: 4 }, 20), 2 * 4 * 3 * 2 * 4 * 40);
  });

  it("knows few lengths, each with room behind the last position", () => {
    const lengths = new Set(Array.from({ length: 8192 }, (_, i) => slotLengthFor(i + 1)));
    assert.ok(lengths.size <= 18);
    for (let positions = 1; positions <= 8192; positions++) {
      const length = slotLengthFor(positions);
      assert.ok(length >= positions + 8 && length <= Math.max(72, positions * 1.5 + 8));
    }
  });
});

describe("KvArena", () => {
  it("keeps what a row holds when it grows out of its slot", () => {
    const arena = new KvArena(SHAPE, 1 << 20);
    arena.ensure(1, SHORT, 0);
    write(arena, 1, 0, [1, 2, 3, 4]);
    arena.ensure(1, LONG, 3);
    assert.deepEqual(read(arena, 1, 3), [1, 2, 3]);
    assert.equal(arena.lengthOf(1), 3);
    assert.ok(arena.bucketOf(1).slotLength > 100);
  });

  it("keeps blocks beside the slots and continues other caches with them", () => {
    const arena = new KvArena(SHAPE, 1 << 20);
    const values = Array.from({ length: 2 * KV_BLOCK }, (_, i) => i + 1);
    arena.ensure(1, SHORT, 0);
    write(arena, 1, 0, values);
    arena.saveBlock(1, { block: 7, start: 0 });
    arena.saveBlock(1, { block: 3, start: KV_BLOCK });
    write(arena, 1, 0, [99]);
    arena.release(1);
    arena.ensure(2, LONG, 0);
    arena.loadBlock(2, { block: 7, start: 0 });
    arena.loadBlock(2, { block: 3, start: KV_BLOCK });
    assert.deepEqual(read(arena, 2, 2 * KV_BLOCK), values);
    assert.equal(arena.lengthOf(2), 2 * KV_BLOCK);
    assert.deepEqual([arena.hasBlock(7), arena.hasBlock(8)], [true, false]);
  });

  it("brings any set of rows together without mixing them up", () => {
    const arena = new KvArena(SHAPE, 1 << 20);
    const caches = [0, 1, 2, 3, 4, 5, 6, 7];
    for (const cache of caches) {
      arena.ensure(cache, SHORT, 0);
      write(arena, cache, 0, [cache + 0.5]);
    }
    arena.release(2);
    const live = caches.filter((cache) => cache !== 2);
    for (const wanted of [[0, 7], [1, 4, 6], [7, 3, 0, 5], [6], live]) {
      const bucket = arena.bucketOf(wanted[0]!);
      const { first, caches: order } = bucket.gather(wanted);
      assert.deepEqual(new Set(order), new Set(wanted));
      order.forEach((cache, i) => assert.equal(bucket.slotOf(cache), first + i));
      for (const cache of live) assert.deepEqual(read(arena, cache, 1), [cache + 0.5]);
    }
  });

  it("does not move rows that are together already", () => {
    const arena = new KvArena(SHAPE, 1 << 20);
    for (let cache = 0; cache < 6; cache++) arena.ensure(cache, SHORT, 0);
    const bucket = arena.bucketOf(0);
    const before = bucket.gather([3, 4, 5]);
    assert.deepEqual(bucket.gather([5, 4, 3]), before);
  });

  it("refuses what exceeds its bytes and takes it after a release", () => {
    const arena = new KvArena(SHAPE, 2 * ROW_BYTES);
    arena.ensure(1, SHORT, 0);
    arena.ensure(2, SHORT, 0);
    assert.throws(() => arena.ensure(3, SHORT, 0), {
      code: "RESOURCE_EXHAUSTED",
      limit: 2 * ROW_BYTES,
    });
    assert.equal(arena.has(3), false);
    arena.release(1);
    arena.ensure(3, SHORT, 0);
    assert.deepEqual(arena.memory, {
      usedBytes: 2 * ROW_BYTES,
      allocatedBytes: 2 * ROW_BYTES,
      limitBytes: 2 * ROW_BYTES,
    });
  });

  it("takes free slots of other lengths when it needs their bytes", () => {
    const arena = new KvArena(SHAPE, 3 * ROW_BYTES);
    for (const cache of [1, 2, 3]) arena.ensure(cache, SHORT, 0);
    write(arena, 3, 0, [7]);
    arena.release(1);
    arena.release(2);
    arena.ensure(4, MIDDLE, 0); // 1.8 short rows
    assert.deepEqual(read(arena, 3, 1), [7]);
    assert.ok(arena.memory.allocatedBytes <= 3 * ROW_BYTES);
  });

  it("lets a row grow into the bytes it gives up itself", () => {
    const arena = new KvArena(SHAPE, 2 * ROW_BYTES);
    arena.ensure(1, SHORT, 0);
    write(arena, 1, 0, [1, 2, 3]);
    arena.ensure(1, MIDDLE, 3);
    assert.deepEqual(read(arena, 1, 3), [1, 2, 3]);
    assert.throws(() => arena.ensure(1, LONG, 3), { code: "RESOURCE_EXHAUSTED" });
    assert.deepEqual(read(arena, 1, 3), [1, 2, 3]);
    assert.equal(arena.lengthOf(1), 3);
    assert.ok(arena.memory.allocatedBytes <= 2 * ROW_BYTES);
  });

  it("ignores releases of what it does not know", () => {
    const arena = new KvArena(SHAPE, ROW_BYTES);
    arena.release(99);
    assert.equal(arena.memory.usedBytes, 0);
  });
});
