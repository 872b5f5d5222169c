import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Backoff } from "@tandem/student-trainer/teacher/backoff.js";

describe("Backoff", () => {
  const make = (uniform: number, timeoutMs = 60_000) => {
    const clock = { ms: 0 };
    const backoff = new Backoff({ timeoutMs, random: () => uniform, now: () => clock.ms });
    return { clock, backoff };
  };

  it("doubles from 100 ms to 5 s, drawn from the upper half", () => {
    const low = make(0).backoff;
    assert.deepEqual(
      Array.from({ length: 8 }, () => low.next()),
      [50, 100, 200, 400, 800, 1600, 2500, 2500],
    );
    const high = make(1).backoff;
    assert.deepEqual(
      Array.from({ length: 7 }, () => high.next()),
      [100, 200, 400, 800, 1600, 3200, 5000],
    );
  });

  it("never sleeps through its patience: eight tries fall into it", () => {
    const { backoff } = make(1, 1_000);
    assert.deepEqual(
      Array.from({ length: 4 }, () => backoff.next()),
      [100, 125, 125, 125],
    );
  });

  it("waits at least as long as the server asks", () => {
    assert.equal(make(0).backoff.next(700), 700);
  });

  it("waits as long as the server asks even beyond the limit, and goes on while others succeed", () => {
    const { backoff, clock } = make(0, 1000);
    assert.equal(backoff.next(5000), 5000);
    clock.ms = 5000;
    assert.equal(backoff.next(20, 4500), 62.5, "half a second is left");
    clock.ms = 5600;
    assert.equal(backoff.next(20, 4500), undefined);
  });

  it("gives up when nothing succeeded within the limit, counted from the first failure", () => {
    const { clock, backoff } = make(0, 1_000);
    backoff.next();
    clock.ms = 990;
    assert.equal(backoff.next(), 10, "the last try comes in time");
    clock.ms = 1_000;
    assert.equal(backoff.next(), undefined);
  });

  it("starts over after a success", () => {
    const { clock, backoff } = make(0, 1_000);
    backoff.next();
    backoff.next();
    clock.ms = 999;
    backoff.reset();
    assert.equal(backoff.next(), 50);
    clock.ms = 1_900;
    assert.notEqual(backoff.next(), undefined);
  });
});
