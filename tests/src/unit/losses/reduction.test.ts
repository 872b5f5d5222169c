import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { reductionCoefficients } from "@tandem/student-trainer/losses/reduction.js";
import { assertAllClose } from "../../helpers/all-close.js";

const CLOSE = { rtol: 1e-15, atol: 0 };

function coefficients(sequences: number[][], reduction: "token" | "sequence"): number[] {
  return reductionCoefficients(sequences, reduction).flatMap((values) => [...values]);
}

describe("the reducer", () => {
  it("gives every counted token of the minibatch the same share", () => {
    assertAllClose(
      coefficients(
        [
          [1, 1, 0],
          [1, 1],
        ],
        "token",
      ),
      [0.25, 0.25, 0, 0.25, 0.25],
      CLOSE,
    );
  });

  it("gives every sequence the same share on request, as the release of SKD does", () => {
    assertAllClose(
      coefficients([[1, 1, 1, 1], [1]], "sequence"),
      [...Array(4).fill(1 / 8), 1 / 2],
      CLOSE,
    );
  });

  it("does not count sequences without a position", () => {
    assertAllClose(
      coefficients(
        [
          [0, 0],
          [1, 1],
        ],
        "sequence",
      ),
      [0, 0, 0.5, 0.5],
      CLOSE,
    );
  });

  it("takes weights into account", () => {
    assertAllClose(coefficients([[3, 1]], "token"), [0.75, 0.25], CLOSE);
  });

  it("is all zero, not NaN, when no position counts", () => {
    for (const reduction of ["token", "sequence"] as const) {
      assert.deepEqual(coefficients([[0, 0], []], reduction), [0, 0]);
    }
  });
});
