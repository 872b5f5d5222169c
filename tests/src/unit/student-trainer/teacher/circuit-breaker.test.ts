import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { CircuitBreaker } from "@tandem/student-trainer/teacher/circuit-breaker.js";

describe("CircuitBreaker", () => {
  // With random = 0 the pauses are 50, 100, 200, 400, 800 ms: half of 100 ms doubled each time.
  const afterFailures = (count: number) => {
    const breaker = new CircuitBreaker(() => 0);
    let nowMs = 0;
    for (let i = 0; i < count; i++) {
      nowMs = Math.max(nowMs, breaker.retryAtMs);
      breaker.failed(nowMs);
    }
    return { breaker, nowMs };
  };

  it("lets everything through at first and nothing right after a failure", () => {
    const { breaker } = afterFailures(1);
    assert.equal(new CircuitBreaker(() => 0).room(0), Infinity);
    assert.equal(breaker.room(49), 0);
    assert.equal(breaker.room(50), Infinity);
  });

  it("counts items that fail together once", () => {
    const breaker = new CircuitBreaker(() => 0);
    for (let i = 0; i < 100; i++) breaker.failed(i / 10);
    assert.equal(breaker.retryAtMs, 50);
  });

  it("lets one item through after five failures in a row, and all after its answer", () => {
    const { breaker, nowMs } = afterFailures(5);
    assert.equal(nowMs, 50 + 100 + 200 + 400);
    assert.equal(breaker.room(nowMs + 799), 0);
    assert.equal(breaker.room(nowMs + 800), 1);
    breaker.succeeded();
    assert.equal(breaker.room(nowMs + 800), Infinity);
  });

  it("stays at one item, with longer pauses, while trials fail", () => {
    const { breaker, nowMs } = afterFailures(6);
    assert.equal(breaker.room(nowMs + 1_599), 0);
    assert.equal(breaker.room(nowMs + 1_600), 1);
  });
});
