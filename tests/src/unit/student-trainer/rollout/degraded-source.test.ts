import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { ErrorCode } from "@tandem/shared/errors/error-code.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { NO_SIGNAL } from "@tandem/shared/wire/teacher-signal.js";
import { createDegradedSource } from "@tandem/student-trainer/rollout/degraded-source.js";
import { NO_STATS, type RolloutBatch } from "@tandem/student-trainer/rollout/rollout.js";
import type {
  RolloutRequest,
  RolloutSource,
} from "@tandem/student-trainer/training/rollout-source.js";

const REQUEST = {
  spec: NO_SIGNAL,
  studentTopK: 0,
  progress: 0,
  abort: new AbortController().signal,
} as unknown as RolloutRequest;

/** Writes batches 0, 1, 2, … but fails at the calls of `failures`; a batch that failed comes again unless it was skipped. */
function sourceThatFails(failures: Readonly<Record<number, ErrorCode>>): RolloutSource {
  let call = 0;
  let index = 0;
  return {
    next: async (): Promise<RolloutBatch> => {
      const code = failures[call++];
      if (code !== undefined) throw new TandemError(code, "scripted");
      return { index: index++, rollouts: [], stats: NO_STATS, teacherWaitMs: 0, seconds: 0 };
    },
    skip: () => void index++,
    state: () => index,
    restore: () => undefined,
  };
}

async function indices(
  mode: "wait" | "skip" | "cached",
  failures: Record<number, ErrorCode>,
  count: number,
) {
  const notes: string[] = [];
  const source = createDegradedSource(sourceThatFails(failures), mode, (note) => notes.push(note));
  const taken: number[] = [];
  for (let i = 0; i < count; i++)
    taken.push((await source.next({ ...REQUEST, progress: i / count })).index);
  return { taken, notes };
}

describe("a run whose teacher is lost", () => {
  const LOST = { 2: "UNAVAILABLE", 3: "UNAVAILABLE" } as const;

  it("ends there unless told otherwise", async () => {
    await assert.rejects(indices("wait", LOST, 3), { code: "UNAVAILABLE" });
  });

  it("skip: leaves out the batches that were not answered", async () => {
    const { taken, notes } = await indices("skip", LOST, 4);
    assert.deepEqual(taken, [0, 1, 4, 5]);
    assert.deepEqual(notes, Array(2).fill("teacher lost: a batch is left out"));
  });

  it("cached: goes round in the last batches, and comes back to the one that was lost", async () => {
    const { taken, notes } = await indices("cached", { ...LOST, 4: "UNAVAILABLE" }, 6);
    assert.deepEqual(taken, [0, 1, 0, 1, 0, 2]);
    assert.equal(notes[0], "teacher lost: batch 0 is trained on again");
  });

  it("cached: has nothing to go round in before the first batch", async () => {
    await assert.rejects(indices("cached", { 0: "UNAVAILABLE" }, 1), { code: "UNAVAILABLE" });
  });

  it("fails as ever when something else is wrong", async () => {
    for (const mode of ["skip", "cached"] as const)
      await assert.rejects(indices(mode, { 1: "FAILED_PRECONDITION" }, 2), {
        code: "FAILED_PRECONDITION",
      });
  });
});
