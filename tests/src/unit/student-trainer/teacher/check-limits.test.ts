import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { LossSet, lossesSchema } from "@tandem/student-trainer/losses/loss-set.js";
import {
  checkTeacherLimits,
  type PlannedUse,
} from "@tandem/student-trainer/teacher/check-limits.js";
import type { TeacherDescription } from "@tandem/student-trainer/teacher/teacher-description.js";

const OLD_PARTS = ["top", "lse", "taus", "token", "at", "moments", "draws", "dense", "hidden"];
const ALL_PARTS = [...OLD_PARTS, "draw_weights", "log_probs"];

/** What the check reads of a description. */
function teacher(change: object = {}): TeacherDescription {
  const limits = { maxTopK: 64, maxTaus: 1, maxDraws: 8, maxAtIds: 4, maxDraftTokens: 8 };
  const known = { model: "big", vocabSize: 100, contextLength: 50, layers: 4 };
  return { ...known, signalParts: ALL_PARTS, limits, ...change } as unknown as TeacherDescription;
}

function plan(loss: object | readonly object[], change: Partial<PlannedUse> = {}): PlannedUse {
  const losses = new LossSet(lossesSchema.parse([loss].flat()));
  return {
    requirements: [losses.requirement(0)],
    losses: losses.asking,
    rollout: { blockLength: 8, concurrency: 4 },
    drafts: true,
    questionRows: 8,
    longestRow: 50,
    ...change,
  };
}

const TEXT = { name: "cross-entropy" };

describe("checkTeacherLimits", () => {
  it("passes what fits", () => {
    checkTeacherLimits(teacher(), plan({ name: "forward-kl", topK: 64, temperature: 2 }));
    checkTeacherLimits(teacher({ signalParts: [] }), plan({ name: "forward-kl", dense: true }));
  });

  for (const [what, planned, change, message] of [
    [
      "a list over the limit",
      plan([TEXT, { name: "forward-kl", topK: 65 }]),
      {},
      /^losses\[1\]\.topK \(forward-kl\): the run needs 65 ids per position, teacher "big" allows 64; set topK to at most 64, or raise --max-logprobs/,
    ],
    [
      "a list by another name",
      plan({ name: "ranking", k: 5 }),
      { limits: { maxTopK: 4 } },
      /^losses\[0\]\.k \(ranking\): the run needs 5 ids .* set k to at most 4,/,
    ],
    [
      "a rank in a list",
      plan([
        { name: "forward-kl", topK: 8 },
        { name: "speckd", topK: 8, rank: 25 },
      ]),
      { limits: { maxTopK: 24 } },
      /^losses\[1\]\.rank \(speckd\): the run needs 25 ids .* set rank to at most 24,/,
    ],
    [
      "more ids of the student's",
      plan({ name: "ranking", k: 5 }),
      {},
      /^losses\[0\]\.k \(ranking\): the run needs 5 student ids .* allows 4; set k to at most 4, or raise --max-at-ids/,
    ],
    [
      "more draws",
      plan({ name: "rs-kd", draws: 9 }),
      {},
      /^losses\[0\]\.draws \(rs-kd\): the run needs 9 draws .* set draws to at most 8, or raise --max-draws/,
    ],
    [
      "more temperatures",
      plan([TEXT, { name: "dtkd", topK: 8, dense: false }]),
      {},
      // One of the teacher, one of the student, one of both.
      /^losses\[1\] \(dtkd\): the run needs 3 temperatures per position, teacher "big" allows 1; .* raise --max-taus/,
    ],
    [
      "all logits of a teacher that gives none",
      plan({ name: "forward-kl", dense: true }),
      { signalParts: ["top", "lse", "token"] },
      /^losses\[0\] \(forward-kl\): the run needs dense of the signal, teacher "big" gives top, lse, token; choose another loss/,
    ],
    [
      "ids of the student's own",
      plan({ name: "dpkd" }),
      { signalParts: ["top", "lse", "log_probs"] },
      /the run needs at of/,
    ],
    [
      "more logits at once",
      plan({ name: "forward-kl", dense: true }),
      // 8 rows of 100 ids in float32 are 3200 bytes.
      { limits: { maxDenseBytes: 3199 } },
      /^losses\[0\] \(forward-kl\): the run needs 3200 bytes of logits at once \(dense\), teacher "big" allows 3199; take a list .*, lower rollout\.maxResponse, or raise --max-dense-bytes/,
    ],
    [
      "weighted samples of a teacher that only draws",
      plan({ name: "rs-kd", draws: 8, drawTemperature: 2 }),
      { signalParts: OLD_PARTS },
      /the run needs draw_weights of the signal/,
    ],
    [
      "log-probabilities of a teacher that only sends logits",
      plan({ name: "uld" }),
      { signalParts: OLD_PARTS },
      /the run needs log_probs of the signal/,
    ],
    [
      "a longer text",
      plan({ name: "forward-kl" }, { longestRow: 51 }),
      {},
      /51 positions .* lower rollout\.maxResponse/,
    ],
    [
      "longer blocks",
      plan({ name: "forward-kl" }, { rollout: { blockLength: 9, concurrency: 4 } }),
      {},
      /9 drafts per block, .* raise --max-draft-tokens/,
    ],
  ] as const) {
    it(`refuses ${what}`, () => {
      assert.throws(
        () => checkTeacherLimits(teacher(change), planned),
        (error) =>
          error instanceof TandemError &&
          error.code === "INVALID_ARGUMENT" &&
          error.field !== undefined &&
          message.test(error.message),
      );
    });
  }
});
