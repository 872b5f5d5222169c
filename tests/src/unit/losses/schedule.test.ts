import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  scheduleAt,
  scheduleMaximum,
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

  it("takes one value in each of equal parts, a part beginning with its own", () => {
    const schedule = { kind: "steps", values: [1, 5, 2] };
    // Thirds; step 10 of 30 is 0.333… in floating point, and begins the second.
    const progress = [0, 0.33, 10 / 30, 0.5, 20 / 30, 0.99, 1];
    assert.deepEqual(valuesOf(schedule, progress), [1, 1, 5, 5, 2, 2, 2]);
    const each = Array.from({ length: 100 }, (_, at) => at);
    assert.deepEqual(
      valuesOf(
        { kind: "steps", values: each },
        each.map((at) => at / 100),
      ),
      each,
    );
  });

  it("knows its smallest and largest value", () => {
    const steps = scheduleSchema.parse({ kind: "steps", values: [1, 5, -2] });
    assert.deepEqual([scheduleMinimum(steps), scheduleMaximum(steps)], [-2, 5]);
    assert.equal(scheduleMinimum(scheduleSchema.parse({ kind: "cosine", from: 2, to: -1 })), -1);
    assert.equal(scheduleMinimum(scheduleSchema.parse(7)), 7);
  });

  it("refuses unknown kinds and unknown keys", () => {
    assert.throws(() => scheduleSchema.parse({ kind: "sawtooth", from: 0, to: 1 }));
    assert.throws(() => scheduleSchema.parse({ kind: "linear", from: 0, to: 1, form: 3 }));
  });
});
