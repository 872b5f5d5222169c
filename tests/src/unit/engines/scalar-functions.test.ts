import { describe, it } from "node:test";
import {
  erf,
  gelu,
  logSumExp,
  sigmoid,
} from "@tandem/student-trainer/engines/reference/scalar-functions.js";
import assert from "node:assert/strict";
import { assertAllClose } from "../../helpers/all-close.js";

describe("scalar functions of the reference", () => {
  it("has erf to double precision on both sides of the switch of method", () => {
    // Abramowitz & Stegun, table 7.1 (ten digits), and mpmath for 3.
    const points = [0, 0.5, 1, 2, 2.4, 2.6, 3, -1];
    const expected = [
      0, 0.5204998778130465, 0.8427007929497149, 0.9953222650189527, 0.999311486103355,
      0.9997639655834707, 0.9999779095030014, -0.8427007929497149,
    ];
    assertAllClose(points.map(erf), expected, { rtol: 1e-14, atol: 0 });
  });

  it("keeps sigmoid and logSumExp finite far out", () => {
    assertAllClose([sigmoid(-800), sigmoid(800), sigmoid(0)], [0, 1, 0.5], { rtol: 0, atol: 0 });
    assert.equal(logSumExp([1000, 1000]), 1000 + Math.LN2);
    assert.equal(logSumExp([-Infinity, 3]), 3);
    assert.equal(logSumExp([-Infinity, -Infinity]), -Infinity);
  });

  it("has both forms of gelu", () => {
    // x·Φ(x) at 1: Φ(1) = 0.8413447460685429. The tanh form differs in the fourth digit: PyTorch gives 0.8411919906082768.
    assertAllClose([gelu(1, "erf")], [0.8413447460685429], { rtol: 1e-14, atol: 0 });
    assertAllClose([gelu(1, "tanh")], [0.8411919906082768], { rtol: 1e-14, atol: 0 });
  });
});
