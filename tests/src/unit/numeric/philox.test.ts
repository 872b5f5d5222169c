import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { philox4x32, uniformAt } from "@tandem/shared/numeric/philox.js";

const U = 0xffffffff;

describe("philox", () => {
  it("gives the known answers of Random123's kat_vectors", () => {
    const cases = [
      {
        counter: [0, 0, 0, 0],
        key: [0, 0],
        words: [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
      },
      {
        counter: [U, U, U, U],
        key: [U, U],
        words: [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
      },
      {
        counter: [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
        key: [0xa4093822, 0x299f31d0],
        words: [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
      },
    ] as const;
    for (const { counter, key, words } of cases) {
      assert.deepEqual([...philox4x32(counter, key)], [...words]);
    }
  });

  it("makes a uniform of 53 bits from the first two words", () => {
    // the words by an independent version in BigInt, below
    const [w0, w1] = philoxBigInt([0n, 0n, 0n, 0n], [0n, 0x54414e44n]);
    const expected = (Number(w0! >> 5n) * 2 ** 26 + Number(w1! >> 6n)) / 2 ** 53;
    assert.equal(uniformAt({ runSeed: 0, rngKey: 0, position: 0, stream: "draft" }), expected);
  });

  it("puts key, position, stream and index into the counter in this order", () => {
    const [w0, w1] = philoxBigInt([0xdeadbeefn, 7n, 2n, 3n], [42n, 0x54414e44n]);
    const expected = (Number(w0! >> 5n) * 2 ** 26 + Number(w1! >> 6n)) / 2 ** 53;
    const point = {
      runSeed: 42,
      rngKey: 0xdeadbeef,
      position: 7,
      stream: "draws",
      index: 3,
    } as const;
    assert.equal(uniformAt(point), expected);
  });

  it("spreads evenly over [0,1) and differs between streams", () => {
    const bins = new Uint32Array(16);
    for (let position = 0; position < 16000; position++) {
      const uniform = uniformAt({ runSeed: 1, rngKey: 2, position, stream: "coin" });
      bins[Math.floor(uniform * 16)]!++;
      const other = uniformAt({ runSeed: 1, rngKey: 2, position, stream: "draft" });
      assert.notEqual(uniform, other);
    }
    // expected 1000 per bin, standard deviation 31: five of them
    for (const count of bins) assert.ok(Math.abs(count - 1000) < 155, `bin of ${count}`);
  });
});

/** Philox4x32-10 written down from the paper in BigInt. */
function philoxBigInt(counter: bigint[], key: bigint[]): bigint[] {
  const mask = 0xffffffffn;
  let [c0, c1, c2, c3] = counter as [bigint, bigint, bigint, bigint];
  let [k0, k1] = key as [bigint, bigint];
  for (let round = 0; round < 10; round++) {
    const p0 = 0xd2511f53n * c0;
    const p1 = 0xcd9e8d57n * c2;
    [c0, c1, c2, c3] = [(p1 >> 32n) ^ c1 ^ k0, p1 & mask, (p0 >> 32n) ^ c3 ^ k1, p0 & mask];
    k0 = (k0 + 0x9e3779b9n) & mask;
    k1 = (k1 + 0xbb67ae85n) & mask;
  }
  return [c0, c1, c2, c3];
}
