import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  scheduleAt,
  scheduleMinimum,
  scheduleSchema,
} from "@tandem/student-trainer/losses/schedule.js";
import { assertAllClose } from "../../helpers/all-close.js";

function valuesOf(input: unknown, progress: readonly number[]): number[] {
  const schedule = scheduleSchema.parse(input);
  return progress.map((at) => scheduleAt(schedule, at));
}

const CLOSE = { rtol: 1e-12, atol: 1e-15 };

describe("a schedule", () => {
  it("of a plain number is constant", () => {
    assert.deepEqual(valuesOf(0.3, [0, 0.5, 1]), [0.3, 0.3, 0.3]);
  });

  it("moves linearly between start and end and stays outside", () => {
    const schedule = { kind: "linear", from: 4, to: 1, start: 0.2, end: 0.8 };
    // At 0.5 half of the way is done, at 0.35 a quarter.
    assertAllClose(valuesOf(schedule, [0, 0.2, 0.35, 0.5, 0.8, 1]), [4, 4, 3.25, 2.5, 1, 1], CLOSE);
  });

  it("moves along half a cosine", () => {
    // (1 − cos(π/3))/2 = 1/4 at a third of the way.
    const schedule = { kind: "cosine", from: 2, to: 6 };
    assertAllClose(valuesOf(schedule, [0, 1 / 3, 0.5, 1]), [2, 3, 4, 6], CLOSE);
  });

  it("moves by equal factors", () => {
    assertAllClose(
      valuesOf({ kind: "exponential", from: 8, to: 2 }, [0, 0.5, 1]),
      [8, 4, 2],
      CLOSE,
    );
  });

  it("jumps when start and end are the same", () => {
    const schedule = { kind: "linear", from: 0, to: 1, start: 0.5, end: 0.5 };
    assert.deepEqual(valuesOf(schedule, [0.5, 0.51]), [0, 1]);
  });

  it("knows its smallest value", () => {
    assert.equal(scheduleMinimum(scheduleSchema.parse({ kind: "cosine", from: 2, to: -1 })), -1);
    assert.equal(scheduleMinimum(scheduleSchema.parse(7)), 7);
  });

  it("refuses unknown kinds and unknown keys", () => {
    assert.throws(() => scheduleSchema.parse({ kind: "sawtooth", from: 0, to: 1 }));
    assert.throws(() => scheduleSchema.parse({ kind: "linear", from: 0, to: 1, form: 3 }));
  });
});
