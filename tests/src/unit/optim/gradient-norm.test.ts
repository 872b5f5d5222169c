import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { clipFactor, globalNorm } from "@tandem/student-trainer/optim/gradient-norm.js";
import { assertAllClose } from "../../helpers/all-close.js";

describe("the global norm", () => {
  it("spans all tensors, of any length", () => {
    // 3² + 4² + 12² = 13².
    assert.equal(
      globalNorm([Float32Array.of(3), Float32Array.of(4, 0, 12), new Float32Array(0)]),
      13,
    );
    for (const length of [1, 7, 8, 9, 17]) {
      const ones = new Float32Array(length).fill(1);
      assertAllClose([globalNorm([ones])], [Math.sqrt(length)], { rtol: 1e-15, atol: 0 });
    }
  });

  it("does not overflow where f32 would", () => {
    assertAllClose([globalNorm([Float32Array.of(3e30, 4e30)])], [5e30], { rtol: 1e-6, atol: 0 });
  });
});

describe("clipping", () => {
  it("scales to the limit, and only down", () => {
    // PyTorch divides by norm + 1e-6.
    assertAllClose([clipFactor(4, 1)], [1 / 4.000001], { rtol: 1e-15, atol: 0 });
    assert.equal(clipFactor(0.5, 1), 1);
    assert.equal(clipFactor(0, 1), 1);
    assert.equal(clipFactor(100, null), 1);
  });
});
