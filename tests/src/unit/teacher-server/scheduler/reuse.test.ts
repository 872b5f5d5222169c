import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Scheduler } from "@tandem/teacher-server/scheduler/scheduler.js";
import { jobOf, resultOf, schedulerOf, show } from "./job-of.js";

describe("a Scheduler with sequences that begin alike", () => {
  /** Plans, shows and applies one step. */
  function stepOf(scheduler: Scheduler, now = 0): string[] {
    const { step } = scheduler.plan(now)!;
    if (step.rows.length > 0) scheduler.apply(resultOf(step));
    return show(step);
  }

  it("takes over the blocks that an earlier one left, and computes its laws itself", () => {
    const { scheduler } = schedulerOf({ maxBatchTokens: 100 }, Infinity, 8);
    scheduler.add(jobOf({ id: 1, laws: 40 }));
    const first = scheduler.plan(0)!.step;
    assert.deepEqual(first.rows[0]?.save, [
      { block: 0, start: 0 },
      { block: 1, start: 16 },
    ]);
    scheduler.apply(resultOf(first));
    scheduler.add(jobOf({ id: 2, prefill: 36, laws: 4 }));
    scheduler.add(jobOf({ id: 3, prefill: 20, laws: 20 }));
    const second = scheduler.plan(1)!.step;
    assert.deepEqual(show(second), ["2:32+8!", "3:20+20!"]);
    const load = [
      { block: 0, start: 0 },
      { block: 1, start: 16 },
    ];
    assert.deepEqual(
      second.rows.map((row) => row.load),
      [load, load],
    );
    const usages = scheduler.apply(resultOf(second)).map(({ usage }) => usage);
    assert.deepEqual(
      usages.map(({ reusedPositions, prefillPositions }) => [reusedPositions, prefillPositions]),
      [
        [32, 4],
        [20, 0],
      ],
    );
  });

  it("computes a common beginning once when they come together", () => {
    const { scheduler } = schedulerOf({ maxBatchTokens: 32 }, Infinity, 8);
    for (const id of [1, 2, 3]) scheduler.add(jobOf({ id, client: id, prefill: 48, laws: 2 }));
    const steps = [stepOf(scheduler), stepOf(scheduler), stepOf(scheduler)];
    assert.deepEqual(steps, [["1:0+32"], ["1:32+18!"], ["2:48+2!", "3:48+2!"]]);
  });

  it("does not let a draft wait for a score that has not begun", () => {
    const { scheduler } = schedulerOf({ maxBatchTokens: 64 }, Infinity, 8);
    scheduler.add(jobOf({ id: 1, prefill: 16, laws: 16 }));
    scheduler.add(jobOf({ id: 2, kind: "draft", prefill: 30, laws: 2 }));
    assert.deepEqual(stepOf(scheduler), ["2:0+32!"]);
    assert.deepEqual(stepOf(scheduler), ["1:16+16!"]);
  });

  it("goes on by itself when the one it waited for is cancelled or not read", () => {
    for (const stop of ["cancel", "pause"]) {
      const { scheduler } = schedulerOf({ maxBatchTokens: 16 }, Infinity, 8);
      scheduler.add(jobOf({ id: 1, client: 1, prefill: 62, laws: 2 }));
      scheduler.add(jobOf({ id: 2, client: 2, prefill: 62, laws: 2 }));
      assert.deepEqual(stepOf(scheduler), ["1:0+16"]);
      if (stop === "cancel") scheduler.cancel(1);
      else scheduler.setPaused(1, true);
      assert.deepEqual(stepOf(scheduler), ["2:16+16"], stop);
    }
  });

  it("keeps no draft that may be rejected", () => {
    const { scheduler } = schedulerOf({ maxBatchTokens: 64 }, Infinity, 8);
    scheduler.add(jobOf({ id: 1, kind: "draft", prefill: 14, laws: 20 }));
    assert.equal(scheduler.plan(0)?.step.rows[0]?.save, undefined);
    scheduler.abandonStep();
    scheduler.add(jobOf({ id: 2, kind: "draft", prefill: 15, laws: 20 }));
    assert.equal(scheduler.plan(0)?.step.rows[0]?.save?.length, 1, "the last known token ends it");
  });

  it("loses what a lost step was to keep, and all with the engine", () => {
    const { scheduler } = schedulerOf({ maxBatchTokens: 64 }, Infinity, 8);
    scheduler.add(jobOf({ id: 1, laws: 32 }));
    scheduler.plan(0);
    scheduler.abandonStep();
    scheduler.add(jobOf({ id: 2, laws: 32 }));
    assert.deepEqual(stepOf(scheduler), ["2:0+32!"]);
    scheduler.reset();
    scheduler.add(jobOf({ id: 3, prefill: 31, laws: 1 }));
    assert.deepEqual(stepOf(scheduler), ["3:0+32!"]);
  });
});

describe("a Scheduler with a cache to fill ahead", () => {
  it("fills it after drafts and before scores, and charges the first draft with it", () => {
    const { scheduler } = schedulerOf({ maxBatchTokens: 10 });
    scheduler.add(jobOf({ id: 1, laws: 8 }));
    scheduler.add(jobOf({ id: 2, kind: "prefill", prefill: 5, laws: 0 }));
    scheduler.add(jobOf({ id: 3, kind: "draft", laws: 2 }));
    const plan = scheduler.plan(0)!;
    assert.deepEqual(show(plan.step), ["3:0+2!", "2:0+5", "1:0+3!"]);
    const done = scheduler.apply(resultOf(plan.step)).filter((progress) => progress.done);
    assert.deepEqual(
      done.map(({ job }) => job.id),
      [3, 2],
    );
    scheduler.add({ ...jobOf({ id: 4, kind: "draft", prefill: 6, laws: 2 }), cache: 2 });
    const next = scheduler.plan(0)!;
    assert.equal(show(next.step)[0], "2:5+3!");
    const { usage } = scheduler.apply(resultOf(next.step))[0]!;
    assert.deepEqual(
      [usage.computedPositions, usage.prefillPositions, usage.reusedPositions],
      [8, 6, 0],
    );
  });

  it("hands over to a draft in the middle", () => {
    const { scheduler } = schedulerOf({ maxBatchTokens: 4 });
    scheduler.add(jobOf({ id: 1, kind: "prefill", prefill: 6, laws: 0 }));
    const plan = scheduler.plan(0)!;
    scheduler.cancel(1);
    scheduler.add({ ...jobOf({ id: 2, kind: "draft", prefill: 6, laws: 2 }), cache: 1 });
    assert.deepEqual(scheduler.apply(resultOf(plan.step)), []);
    const next = scheduler.plan(0)!;
    assert.deepEqual(show(next.step), ["1:4+4!"]);
    assert.equal(scheduler.apply(resultOf(next.step))[0]?.usage.prefillPositions, 6);
  });

  it("throws nobody out for it", () => {
    const { scheduler, pool } = schedulerOf({}, 10);
    pool.acquire(9, 6);
    pool.setPinned(9, false);
    scheduler.add(jobOf({ id: 1, kind: "prefill", prefill: 6, laws: 0 }));
    assert.deepEqual(show(scheduler.plan(0)?.step), []);
    scheduler.cancel(1);
    scheduler.add({ ...jobOf({ id: 2, kind: "draft", prefill: 4, laws: 2 }), cache: 1 });
    assert.deepEqual(show(scheduler.plan(0)?.step), ["1:0+6!"]);
  });
});
