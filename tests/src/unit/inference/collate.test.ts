import assert from "node:assert/strict";
import { describe, it } from "node:test";

import {
  collate,
  cutIntoPieces,
  groupPieces,
  type Piece,
} from "@tandem/shared/inference/collate.js";

function piece(cache: number, start: number, tokens: readonly number[], slotLength = 40): Piece {
  return { cache, start, slotLength, tokens: Uint32Array.from(tokens) };
}

function filled(cache: number, start: number, count: number, slotLength = 40): Piece {
  return piece(
    cache,
    start,
    Array.from({ length: count }, (_, i) => i),
    slotLength,
  );
}

describe("collate", () => {
  it("packs rows one after the other and pads each with its own last token", () => {
    const batch = collate([piece(1, 4, [10, 11, 12]), piece(2, 0, [20])]);
    assert.deepEqual(batch.ids, BigInt64Array.of(10n, 11n, 12n, 20n));
    assert.deepEqual(Array.from(batch.positions), [4, 5, 6, 0]);
    assert.equal(batch.width, 3);
    assert.deepEqual(batch.unpack, BigInt64Array.of(0n, 1n, 2n, 3n, 3n, 3n));
    assert.deepEqual(batch.pack, BigInt64Array.of(0n, 1n, 2n, 3n));
    assert.deepEqual(batch.starts, BigInt64Array.of(4n, 0n));
    assert.deepEqual(batch.offsets, [0, 3]);
  });

  it("makes two tokens and two positions of one", () => {
    const batch = collate([piece(7, 9, [42])]);
    assert.deepEqual(batch.ids, BigInt64Array.of(42n, 42n));
    assert.deepEqual(Array.from(batch.positions), [9, 9]);
    assert.deepEqual(batch.unpack, BigInt64Array.of(0n, 0n));
    assert.deepEqual(batch.pack, BigInt64Array.of(0n, 0n));
  });
});

describe("groupPieces", () => {
  it("keeps slots of different length apart", () => {
    const groups = groupPieces([filled(1, 0, 4, 40), filled(2, 0, 4, 72), filled(3, 0, 4, 40)], 4);
    assert.deepEqual(
      groups.map((group) => group.map(({ cache }) => cache)),
      [[1, 3], [2]],
    );
  });

  it("lets short rows share a run, but not be padded to many times their length", () => {
    const together = groupPieces([filled(1, 0, 1), filled(2, 0, 16)], 4);
    assert.equal(together.length, 1);
    const apart = groupPieces([filled(1, 0, 1, 300), filled(2, 0, 200, 300)], 4);
    assert.equal(apart.length, 2);
  });

  it("never pads a row past the end of its slot", () => {
    const groups = groupPieces([filled(1, 0, 12), filled(2, 30, 5), filled(3, 20, 2)], 4);
    for (const group of groups) {
      const width = Math.max(...group.map(({ tokens }) => tokens.length));
      for (const { start, slotLength } of group) assert.ok(start + width <= slotLength);
    }
    assert.equal(groups.length, 2);
  });

  it("bounds the attention scores of a run", () => {
    // 32 heads × 1,032² scores × 4 bytes = 136 MB a row: two rows exceed 256 MiB.
    const rows = [1, 2, 3].map((cache) => filled(cache, 0, 1024, 1032));
    assert.equal(groupPieces(rows, 32).length, 3);
  });
});

describe("cutIntoPieces", () => {
  it("cuts a long row so that its scores stay under the budget, losing nothing", () => {
    const row = filled(1, 5, 5000, 8200);
    const pieces = cutIntoPieces(row, 32);
    for (const { tokens } of pieces) assert.ok(4 * 32 * tokens.length * 8200 <= 256 * 2 ** 20);
    assert.deepEqual(
      pieces.flatMap(({ tokens }) => Array.from(tokens)),
      Array.from(row.tokens),
    );
    let position = 5;
    for (const { start, tokens } of pieces) {
      assert.equal(start, position);
      position += tokens.length;
    }
  });
});
