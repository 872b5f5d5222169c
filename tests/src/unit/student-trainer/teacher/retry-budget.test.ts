import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { RetryBudget } from "@tandem/student-trainer/teacher/retry-budget.js";

describe("RetryBudget", () => {
  it("lets a burst of 20 through, then ten a second, in order", () => {
    const budget = new RetryBudget(0, 0);
    const waits = Array.from({ length: 23 }, () => budget.reserve(0));
    assert.deepEqual(waits.slice(0, 20), Array(20).fill(0));
    assert.deepEqual(waits.slice(20), [100, 200, 300]);
  });

  it("grows with what is answered", () => {
    const budget = new RetryBudget(0.25, 0);
    for (let i = 0; i < 20; i++) budget.reserve(0);
    for (let i = 0; i < 8; i++) budget.answered(0);
    assert.deepEqual([budget.reserve(0), budget.reserve(0), budget.reserve(0)], [0, 0, 100]);
  });

  it("does not save up more than a burst", () => {
    const budget = new RetryBudget(1, 0);
    for (let i = 0; i < 1000; i++) budget.answered(0);
    const waits = Array.from({ length: 21 }, () => budget.reserve(60_000));
    assert.equal(waits.at(-1), 100);
  });

  it("gives hedges only what is there", () => {
    const budget = new RetryBudget(0, 0);
    const taken = Array.from({ length: 25 }, () => budget.tryTake(0)).filter(Boolean).length;
    assert.equal(taken, 20);
    assert.equal(budget.tryTake(100), true, "one more after a tenth of a second");
    assert.equal(budget.tryTake(100), false);
  });
});
