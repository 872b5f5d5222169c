import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { AUTHOR, NO_STATS, type Rollout } from "@tandem/student-trainer/rollout/rollout.js";
import {
  acceptanceByPosition,
  teacherShareByPosition,
} from "@tandem/student-trainer/training/share-by-position.js";

/** s: the student's token, t: the teacher's, d: given. */
function rollout(authors: string, interleaved: boolean): Rollout {
  const who = { s: AUTHOR.student, t: AUTHOR.teacher, d: AUTHOR.data } as const;
  return {
    row: 0,
    sample: 0,
    epoch: 0,
    prompt: Uint32Array.of(1),
    response: new Uint32Array(authors.length),
    authors: Uint8Array.from(authors, (letter) => who[letter as keyof typeof who]),
    finish: "length",
    stats: NO_STATS,
    ...(interleaved && { rejected: new Int32Array(authors.length) }),
  };
}

describe("shares by position", () => {
  // Buckets: position 0 | 1 | 2, 3 | 4 … 7.
  const batch = [rollout("tsts", true), rollout("sssttsss", true), rollout("dd", false)];

  it("count the teacher's tokens in buckets that double", () => {
    assert.deepEqual(teacherShareByPosition(batch), [1 / 3, 0, 2 / 4, 1 / 4]);
  });

  it("count accepted drafts where drafts were judged", () => {
    assert.deepEqual(acceptanceByPosition(batch), [1 / 2, 1, 2 / 4, 3 / 4]);
  });

  it("are empty without a token", () => {
    assert.deepEqual(teacherShareByPosition([rollout("", true)]), []);
    assert.deepEqual(acceptanceByPosition([rollout("dd", false)]), []);
  });
});
