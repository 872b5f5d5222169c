import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { drawTokens } from "@tandem/shared/inference/draw-tokens.js";
import { uniformAt } from "@tandem/shared/numeric/philox.js";

describe("drawTokens", () => {
  it("inverts the cumulative distribution over ascending ids", () => {
    // Masses 1/2, 1/4, 1/4: cumulative 0.5, 0.75, 1.
    const logits = Float32Array.of(Math.log(2), 0, 0);
    const { ids, counts } = drawTokens(logits, [0.999, 0, 0.49, 0.76, 0.51]);
    assert.deepEqual(Array.from(ids), [0, 1, 2]);
    assert.deepEqual(Array.from(counts), [2, 1, 2]);
  });

  it("never draws what has no mass", () => {
    const logits = Float32Array.of(-Infinity, 0, -Infinity, 0, -Infinity);
    const { ids } = drawTokens(logits, [0, 0.25, 0.5, 0.75, 1 - 2 ** -53]);
    assert.deepEqual(Array.from(ids), [1, 3]);
  });

  it("draws in proportion", () => {
    const logits = Float32Array.of(0, Math.log(3), Math.log(6));
    const uniforms = Array.from({ length: 10_000 }, (_, index) =>
      uniformAt({ runSeed: 5, rngKey: 6, position: 7, stream: "draws", index }),
    );
    const { counts } = drawTokens(logits, uniforms);
    assert.equal(
      counts.reduce((a, b) => a + b),
      10_000,
    );
    // Standard deviation of the largest count is √(10⁴·0.6·0.4) = 49; five of them.
    [0.1, 0.3, 0.6].forEach((p, i) => assert.ok(Math.abs(counts[i]! - 10_000 * p) < 245));
  });
});
