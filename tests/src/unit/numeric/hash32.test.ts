import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hash32, rngKeyOf } from "@tandem/shared/numeric/hash32.js";

describe("hash32", () => {
  it("gives the published answers of MurmurHash3_x86_32", () => {
    assert.equal(hash32([]), 0);
    assert.equal(hash32([], 1), 0x514e28b7);
    assert.equal(hash32([0]), 0x2362f9de);
    assert.equal(hash32([0xffffffff]), 0x76293b50);
    assert.equal(hash32([0x87654321]), 0xf55b516b);
    assert.equal(hash32([0x87654321], 0x5082edee), 0x2362f9de);
  });

  it("gives near triples different keys", () => {
    const keys = new Set<number>();
    for (let epoch = 0; epoch < 4; epoch++)
      for (let row = 0; row < 64; row++)
        for (let sample = 0; sample < 4; sample++) keys.add(rngKeyOf(epoch, row, sample));
    assert.equal(keys.size, 4 * 64 * 4);
  });
});
