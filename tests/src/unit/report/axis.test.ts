import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { niceAxis } from "@tandem/student-trainer/report/axis.js";

describe("niceAxis", () => {
  const cases: readonly [number, number, number, readonly number[]][] = [
    [0, 300, 5, [0, 100, 200, 300]],
    [0, 1, 4, [0, 0.5, 1]],
    [0.676, 1, 4, [0.6, 0.7, 0.8, 0.9, 1]],
    [0, 0.29, 4, [0, 0.1, 0.2, 0.3]],
    [-3, 4, 4, [-4, -2, 0, 2, 4]],
    [2, 2, 4, [2, 2.5]],
    [0, 1, 5, [0, 0.2, 0.4, 0.6, 0.8, 1]],
  ];
  for (const [low, high, count, ticks] of cases) {
    it(`puts round ticks on [${low}, ${high}]`, () => {
      const axis = niceAxis(low, high, count);
      assert.deepEqual(axis.ticks, ticks);
      assert.equal(axis.low, ticks[0]);
      assert.equal(axis.high, ticks.at(-1));
    });
  }

  it("covers the data, whatever its size", () => {
    for (const [low, high] of [
      [1e-9, 3e-9],
      [123456, 987654],
      [-0.1, 0.033],
    ] as const) {
      const axis = niceAxis(low, high, 4);
      assert.ok(axis.low <= low && axis.high >= high, `${axis.low}…${axis.high}`);
      assert.ok(axis.ticks.length >= 2 && axis.ticks.length <= 7);
    }
  });
});
