import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { KvPool } from "@tandem/teacher-server/sessions/kv-pool.js";

const sized = (limitBytes: number): KvPool =>
  new KvPool({ limitBytes, cacheBytes: (length) => 10 * length });

describe("KvPool", () => {
  it("throws out the idle cache that was used longest ago", () => {
    const pool = sized(100);
    for (const cache of [1, 2]) {
      pool.acquire(cache, 5);
      pool.setPinned(cache, false);
    }
    pool.acquire(1, 5);
    assert.ok(pool.acquire(3, 5));
    assert.deepEqual(pool.takeReleased(), [2]);
  });

  it("keeps pinned caches, and throws out nothing when that would not be enough", () => {
    const pool = sized(100);
    pool.acquire(1, 5);
    pool.acquire(2, 4);
    pool.setPinned(2, false);
    assert.equal(pool.acquire(3, 6), false);
    assert.deepEqual(pool.takeReleased(), []);
    assert.equal(pool.usedBytes, 90);
  });

  it("ignores lengths of caches that were freed meanwhile", () => {
    const pool = sized(100);
    pool.acquire(1, 5);
    pool.free(1);
    pool.setLength(1, 3);
    assert.equal(pool.length(1), 0);
    assert.equal(pool.usedBytes, 0);
  });

  it("accounts for every byte whatever happens", () => {
    const action = fc.record({
      what: fc.constantFrom("acquire", "free", "pin", "unpin"),
      cache: fc.integer({ min: 1, max: 6 }),
      length: fc.integer({ min: 1, max: 6 }),
    });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const pool = sized(120);
        const held = new Map<number, number>();
        for (const { what, cache, length } of actions) {
          if (what === "acquire" && pool.acquire(cache, length) && !held.has(cache))
            held.set(cache, 10 * length);
          if (what === "free") pool.free(cache);
          if (what === "pin" || what === "unpin") pool.setPinned(cache, what === "pin");
          for (const released of pool.takeReleased()) held.delete(released);
          const sum = [...held.values()].reduce((total, bytes) => total + bytes, 0);
          assert.equal(pool.usedBytes, sum);
          assert.ok(sum <= pool.limitBytes);
        }
      }),
      { seed: 3, numRuns: 300 },
    );
  });
});
