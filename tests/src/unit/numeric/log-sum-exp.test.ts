import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { log1mExp, logAddExp, logSumExp } from "@tandem/shared/numeric/log-sum-exp.js";
import { assertAllClose } from "../../helpers/all-close.js";

const EXACT = { rtol: 1e-15, atol: 1e-15 };

describe("logSumExp", () => {
  it("equals the closed form of equal values", () => {
    // four times 1000: 1000 + log 4; at temperature 2: 500 + log 4
    const values = [1000, 1000, 1000, 1000];
    assertAllClose(
      [logSumExp(values), logSumExp(values, 2)],
      [1000 + Math.log(4), 500 + Math.log(4)],
      EXACT,
    );
  });

  it("says what infinities and NaN leave", () => {
    assert.equal(logSumExp([]), -Infinity);
    assert.equal(logSumExp([-Infinity, -Infinity]), -Infinity);
    assert.equal(logSumExp([3, -Infinity]), 3);
    assert.equal(logSumExp([3, Infinity]), Infinity);
    assert.ok(Number.isNaN(logSumExp([3, NaN])));
  });
});

describe("logAddExp and log1mExp", () => {
  it("add and complement probabilities in logarithms", () => {
    assertAllClose([logAddExp(Math.log(3), Math.log(5))], [Math.log(8)], EXACT);
    assert.equal(logAddExp(-Infinity, 2), 2);
    assert.equal(logAddExp(-Infinity, -Infinity), -Infinity);
    assertAllClose([log1mExp(Math.log(0.25))], [Math.log(0.75)], EXACT);
    assert.equal(log1mExp(0), -Infinity);
    // near the ends: 1 − e^x ≈ −x, and log(1 − y) ≈ −y
    assertAllClose([log1mExp(-1e-12)], [Math.log(1e-12) - 5e-13], EXACT);
    assertAllClose([log1mExp(-50)], [-Math.exp(-50)], { rtol: 1e-12, atol: 0 });
  });
});
