import assert from "node:assert/strict";
import { describe, it } from "node:test";

import {
  formatNumber,
  formatSeconds,
  formatShare,
} from "@tandem/student-trainer/report/format-number.js";

describe("numbers for people", () => {
  it("shows three digits and groups thousands", () => {
    const cases: readonly [number, string][] = [
      [0, "0"],
      [1.23456, "1.23"],
      [0.029412, "0.0294"],
      [134_000, "134,000"],
      [0.00001234, "1.2e-5"],
      [-2.5, "-2.5"],
      [Infinity, "Infinity"],
    ];
    for (const [value, text] of cases) assert.equal(formatNumber(value), text);
  });

  it("shows shares as percentages", () => {
    assert.equal(formatShare(0.996), "99.6 %");
    assert.equal(formatShare(0), "0 %");
    assert.equal(formatShare(1), "100 %");
  });

  it("shows durations in the two largest units", () => {
    assert.equal(formatSeconds(41.6), "42 s");
    assert.equal(formatSeconds(185), "3 min 05 s");
    assert.equal(formatSeconds(7260), "2 h 01 min");
  });
});
