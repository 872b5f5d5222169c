import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { canonicalCodes, codeLengths } from "@tandem/shared/wire/compact/code-lengths.js";

describe("codeLengths", () => {
  it("gives the optimal code of a textbook example", () => {
    // 5, 9, 12, 13, 16, 45: lengths 4, 4, 3, 3, 3, 1 (Cormen et al., section 16.3); an unused symbol has none
    const counts = Uint32Array.from([45, 13, 12, 16, 9, 5, 0]);
    assert.deepEqual([...codeLengths(counts)], [1, 3, 3, 3, 4, 4, 0]);
  });

  it("stays within eight bits and complete for steep counts", () => {
    const counts = Uint32Array.from({ length: 24 }, (_, i) => 2 ** i);
    const lengths = codeLengths(counts);
    assert.ok(Math.max(...lengths) <= 8);
    assert.equal(
      lengths.reduce((sum, length) => sum + 2 ** -length, 0),
      1,
    );
  });

  it("gives a lone symbol one bit and nothing none", () => {
    assert.deepEqual([...codeLengths(Uint32Array.from([0, 7]))], [0, 1]);
    assert.deepEqual([...codeLengths(new Uint32Array(3))], [0, 0, 0]);
  });
});

describe("canonicalCodes", () => {
  it("numbers codes as RFC 1951 does, reversed", () => {
    // the example of RFC 1951, 3.2.2: lengths 3,3,3,3,3,2,4,4 → 010 011 100 101 110 00 1110 1111
    const codes = canonicalCodes(Uint8Array.from([3, 3, 3, 3, 3, 2, 4, 4]));
    const expected = ["010", "011", "100", "101", "110", "00", "1110", "1111"];
    const reversed = expected.map((bits) => parseInt(bits.split("").reverse().join(""), 2));
    assert.deepEqual([...codes!], reversed);
  });

  it("refuses lengths that are no complete code", () => {
    for (const lengths of [[1, 1, 1], [2, 2, 2], [1, 9], [0, 2], [15]]) {
      assert.equal(canonicalCodes(Uint8Array.from(lengths)), undefined, String(lengths));
    }
    assert.deepEqual([...canonicalCodes(Uint8Array.from([0, 1]))!], [0, 0]);
  });
});
