import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createLogger } from "@tandem/shared/telemetry/logger.js";
import { StepLoop } from "@tandem/teacher-server/engine/step-loop.js";
import { jobOf, schedulerOf } from "../scheduler/job-of.js";

describe("StepLoop", () => {
  it("tells a step that left others waiting from one with room, and from items that came while it ran", async () => {
    const left: number[] = [];
    const submit = (id: number) =>
      new Promise<void>((resolve, reject) =>
        loop.submit(jobOf({ id, client: id, offset: 10 * id }), {
          onProgress: ({ done }) => done && resolve(),
          onFailure: reject,
        }),
      );
    let late: Promise<void> | undefined;
    const loop: StepLoop = new StepLoop({
      scheduler: schedulerOf({ maxBatchTokens: 1000, maxRows: 2 }).scheduler,
      run: async ({ rows }) => {
        // Within the last step of the first three jobs.
        if (rows.length === 1) late ??= submit(4);
        await new Promise((resolve) => setImmediate(resolve));
        const results = rows.map(({ cache }) => ({ cache, frames: [] }));
        return { rows: results, computeMs: 1, computedPositions: rows.length, headPositions: 0 };
      },
      clock: { now: () => 0 },
      logger: createLogger({ name: "test", level: "silent", format: "json" }),
      observer: { onStep: () => left.push(loop.leftWaiting) },
    });
    loop.engineUp();
    await Promise.all([1, 2, 3].map(submit));
    await late;
    loop.close();
    assert.deepEqual(left, [1, 0, 0]);
  });
});
