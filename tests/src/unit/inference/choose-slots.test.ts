import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { chooseSlots, type SlotNeed } from "@tandem/shared/inference/choose-slots.js";

/** A run costs as much as 300 positions more: three passes over each. */
const COSTS = { runBytes: 900, positionBytes: 1 };

function need(positions: number, change: Partial<SlotNeed> = {}): SlotNeed {
  return { current: 0, positions, maxLength: 1000, width: 1, ...change };
}

describe("chooseSlots", () => {
  it("gives a row alone the shortest slot with a margin", () => {
    assert.deepEqual(chooseSlots([need(10)], COSTS), [40]);
    assert.deepEqual(chooseSlots([need(65)], COSTS), [104]);
    assert.deepEqual(chooseSlots([], COSTS), []);
  });

  it("never shrinks a slot", () => {
    assert.deepEqual(chooseSlots([need(10, { current: 264 })], COSTS), [264]);
  });

  it("lifts rows into one run where that is cheaper than another", () => {
    // 104 − 72 = 32 positions each.
    assert.deepEqual(chooseSlots([need(60), need(90), need(50)], COSTS), [104, 104, 104]);
    // Ten rows · 32 positions exceed 300.
    const many = Array.from({ length: 10 }, () => need(60));
    assert.deepEqual(chooseSlots([...many, need(90)], COSTS), [...many.map(() => 72), 104]);
    assert.deepEqual(chooseSlots([need(60), need(900)], COSTS), [72, 1032]);
  });

  it("lifts no row beyond what its own length can need", () => {
    assert.deepEqual(chooseSlots([need(60, { maxLength: 64 }), need(90)], COSTS), [72, 104]);
  });

  it("leaves rows with many tokens alone", () => {
    assert.deepEqual(chooseSlots([need(60, { width: 60 }), need(90)], COSTS), [72, 104]);
  });
});
