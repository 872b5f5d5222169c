import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  addDims,
  canonicalDim,
  dimProduct,
  divideShapes,
  evaluateDim,
  multiplyDims,
  subtractDims,
} from "@tandem/shared/tensor/dim.js";
import type { Dim } from "@tandem/shared/tensor/tensor-ops.js";
import fc from "fast-check";

const SIZES = new Map([
  ["B", 3],
  ["T", 7],
  ["N", 5],
]);

const dim: fc.Arbitrary<Dim> = fc.oneof(
  fc.integer({ min: 0, max: 9 }),
  fc.constantFrom("B", "T", "N", "B*T", "T-1", "2*N+B"),
);

describe("dim", () => {
  it("writes equal sizes as equal strings", () => {
    assert.equal(canonicalDim("T*B"), "B*T");
    assert.equal(canonicalDim("N+2*N"), "3*N");
    assert.equal(addDims("T", -1), "T-1");
    assert.equal(addDims("T-1", 1), "T");
    assert.equal(subtractDims("B*T+4", "B*T"), 4);
  });

  it("adds and multiplies as the numbers behind the symbols do", () => {
    fc.assert(
      fc.property(dim, dim, (a, b) => {
        const value = (size: Dim): number => evaluateDim(size, SIZES);
        assert.equal(value(addDims(a, b)), value(a) + value(b));
        assert.equal(value(subtractDims(a, b)), value(a) - value(b));
        assert.equal(value(multiplyDims(a, b)), value(a) * value(b));
      }),
    );
  });

  it("is the same whatever the order of factors and terms", () => {
    fc.assert(
      fc.property(dim, dim, dim, (a, b, c) => {
        assert.equal(dimProduct([a, b, c]), dimProduct([c, b, a]));
        assert.equal(addDims(addDims(a, b), c), addDims(addDims(c, a), b));
      }),
    );
  });

  it("divides a shape by part of its factors", () => {
    assert.equal(divideShapes(["B", "T", 8], [2, 4]), "B*T");
    assert.equal(divideShapes(["T-1", 8], ["T-1", 2]), 4);
    assert.equal(divideShapes(["B*T", 8], ["T", 8]), "B");
    assert.equal(divideShapes(["B", 6], [4]), undefined);
    assert.equal(divideShapes(["B"], ["T"]), undefined);
  });

  it("refuses a symbol that nothing binds", () => {
    assert.throws(() => evaluateDim("B*X", SIZES), /"X" is bound by no input/);
    assert.throws(() => canonicalDim("B/2"), /not a size/);
  });
});
