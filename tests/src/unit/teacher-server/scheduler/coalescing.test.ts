import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { EngineStep, EngineStepResult } from "@tandem/teacher-server/scheduler/engine-step.js";
import type { Scheduler } from "@tandem/teacher-server/scheduler/scheduler.js";
import { jobOf, resultOf, schedulerOf, show, type JobWish } from "./job-of.js";

/** A job that asks for the same as all others of that name. */
function twinOf(identity: string, wish: JobWish) {
  return { ...jobOf(wish), identity };
}

/** A frame for each row with laws, named by cache and first law. */
function framedOf(step: EngineStep, sizeBytes = 10): EngineStepResult {
  const rows = step.rows.map(({ cache, past, head }) => ({
    cache,
    frames: head === undefined ? [] : [{ message: { from: past + head.first + 1 }, sizeBytes }],
  }));
  return { ...resultOf(step), rows };
}

/** Plans and applies a step: what was computed, and who got which frames. */
function stepOf(scheduler: Scheduler, sizeBytes?: number) {
  const { step } = scheduler.plan(0)!;
  const progress = step.rows.length === 0 ? [] : scheduler.apply(framedOf(step, sizeBytes));
  return {
    rows: show(step),
    got: progress.map(({ job, result, done, usage }) => [
      job.id,
      result.frames.map(({ message }) => message.from),
      done,
      usage.savedPositions,
    ]),
  };
}

describe("a Scheduler with equal jobs", () => {
  it("computes one of them and gives all its answer, with what they saved", () => {
    const { scheduler } = schedulerOf({ maxBatchTokens: 4 });
    for (const id of [1, 2, 3]) scheduler.add(twinOf("x", { id, client: id, laws: 6 }));
    assert.deepEqual(stepOf(scheduler), { rows: ["1:0+4!"], got: [[1, [1], false, 0]] });
    assert.deepEqual(stepOf(scheduler), {
      rows: ["1:4+2!"],
      got: [
        [2, [1, 5], true, 6],
        [3, [1, 5], true, 6],
        [1, [5], true, 0],
      ],
    });
    assert.deepEqual([scheduler.jobCount, scheduler.coalescedJobs], [0, 2]);
  });

  it("leaves those alone that have no name, or another one", () => {
    const { scheduler } = schedulerOf();
    scheduler.add(jobOf({ id: 1 }));
    scheduler.add(jobOf({ id: 2 }));
    scheduler.add(twinOf("x", { id: 3 }));
    scheduler.add(twinOf("y", { id: 4 }));
    assert.equal(stepOf(scheduler).rows.length, 4);
  });

  it("takes the next one when the one that is computed is cancelled, expires or is not read", () => {
    for (const end of ["cancel", "pause"] as const) {
      const { scheduler } = schedulerOf({ maxBatchTokens: 4 });
      scheduler.add(twinOf("x", { id: 1, client: 1, laws: 6 }));
      scheduler.add(twinOf("x", { id: 2, client: 2, laws: 6 }));
      stepOf(scheduler);
      if (end === "cancel") scheduler.cancel(1);
      else scheduler.setPaused(1, true);
      assert.deepEqual(stepOf(scheduler).rows, ["2:0+4!"], end);
      assert.deepEqual(stepOf(scheduler).got, [[2, [5], true, 0]], end);
    }
  });

  it("gives the answer of one that was cancelled during its last step", () => {
    const { scheduler } = schedulerOf();
    scheduler.add(twinOf("x", { id: 1 }));
    scheduler.add(twinOf("x", { id: 2 }));
    const { step } = scheduler.plan(0)!;
    scheduler.cancel(1);
    const progress = scheduler.apply(framedOf(step));
    assert.deepEqual(
      progress.map(({ job, done }) => [job.id, done]),
      [[2, true]],
    );
  });

  it("keeps a cancelled follower out of it", () => {
    const { scheduler } = schedulerOf();
    scheduler.add(twinOf("x", { id: 1 }));
    scheduler.add(twinOf("x", { id: 2 }));
    const { step } = scheduler.plan(0)!;
    scheduler.cancel(2);
    assert.deepEqual(
      scheduler.apply(framedOf(step)).map(({ job }) => job.id),
      [1],
    );
  });

  it("lets the others compute themselves when the row of one fails", () => {
    const { scheduler } = schedulerOf();
    scheduler.add(twinOf("x", { id: 1 }));
    scheduler.add(twinOf("x", { id: 2 }));
    const { step } = scheduler.plan(0)!;
    const failure = { code: "INTERNAL", message: "NaN" } as const;
    const progress = scheduler.apply({
      ...resultOf(step),
      rows: [{ cache: 1, frames: [], failure }],
    });
    assert.deepEqual(
      progress.map(({ job }) => job.id),
      [1],
    );
    assert.deepEqual(stepOf(scheduler).rows, ["2:0+4!"]);
  });

  it("does not keep an answer that is too large", () => {
    const { scheduler } = schedulerOf({ maxBatchTokens: 4 });
    scheduler.add(twinOf("x", { id: 1, laws: 8 }));
    scheduler.add(twinOf("x", { id: 2, laws: 8 }));
    stepOf(scheduler, 64 << 20);
    const { rows, got } = stepOf(scheduler, 64 << 20);
    assert.deepEqual(rows, ["1:4+4!"]);
    assert.deepEqual(got, [[1, [5], true, 0]]);
    assert.deepEqual(stepOf(scheduler).rows, ["2:0+4!"]);
  });
});
