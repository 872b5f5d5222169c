import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { hadamardBlock, hadamardMatrix, rotateRow } from "@tandem/shared/numeric/hadamard.js";
import { assertAllClose } from "../../helpers/all-close.js";

/** A few f32 additions and one factor. */
const TOLERANCE = { rtol: 1e-6, atol: 1e-6 };

describe("hadamard", () => {
  it("takes the widest power of two that divides the width, up to 64", () => {
    assert.deepEqual([576, 1536, 24, 7, 96, 4096].map(hadamardBlock), [64, 64, 8, 1, 32, 64]);
  });

  it("has entries (−1)^(number of common bits)/√block", () => {
    // Sylvester's construction in closed form.
    const block = 8;
    const expected = Float32Array.from({ length: block * block }, (_, at) => {
      const common = Math.floor(at / block) & (at % block);
      const bits = [1, 2, 4].filter((bit) => (common & bit) !== 0).length;
      return (-1) ** bits / Math.sqrt(block);
    });
    assertAllClose(hadamardMatrix(block), expected, TOLERANCE);
  });

  it("rotates each block of a row by the matrix, and back by a second time", () => {
    const row = Float32Array.from({ length: 12 }, (_, i) => Math.sin(3 * i + 1));
    const matrix = hadamardMatrix(4);
    const expected = row.map((_, i) => {
      const begin = 4 * Math.floor(i / 4);
      return [0, 1, 2, 3].reduce((sum, j) => sum + row[begin + j]! * matrix[4 * j + (i % 4)]!, 0);
    });
    const rotated = row.slice();
    rotateRow(rotated, 4);
    assertAllClose(rotated, expected, TOLERANCE);
    rotateRow(rotated, 4);
    assertAllClose(rotated, row, TOLERANCE);
  });
});
