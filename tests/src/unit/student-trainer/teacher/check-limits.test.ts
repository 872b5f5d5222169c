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

const plan = (loss: object, change: Partial<PlannedUse> = {}): PlannedUse => ({
  requirements: [new LossSet(lossesSchema.parse([loss])).requirement(0)],
  rollout: { blockLength: 8, concurrency: 4 },
  drafts: true,
  questionRows: 8,
  longestRow: 50,
  ...change,
});

describe("checkTeacherLimits", () => {
  it("passes what fits", () => {
    checkTeacherLimits(teacher(), plan({ name: "forward-kl", topK: 64, temperature: 2 }));
    checkTeacherLimits(teacher({ signalParts: [] }), plan({ name: "forward-kl", dense: true }));
  });

  for (const [what, planned, change, message] of [
    ["a list over the limit", plan({ name: "forward-kl", topK: 65 }), {}, /65 ids .* allows 64/],
    [
      "a list over the vocabulary",
      plan({ name: "forward-kl", topK: 101 }),
      { limits: {} },
      /101 ids per position \(the vocabulary's size\)/,
    ],
    [
      "all logits of a teacher that gives none",
      plan({ name: "forward-kl", dense: true }),
      { signalParts: ["top", "lse", "token"] },
      /the run needs dense of the signal, teacher "big" gives top, lse, token; choose another loss/,
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
      /3200 bytes of logits at once \(dense\), teacher "big" allows 3199/,
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
    ["a longer text", plan({ name: "forward-kl" }, { longestRow: 51 }), {}, /51 positions/],
    [
      "longer blocks",
      plan({ name: "forward-kl" }, { rollout: { blockLength: 9, concurrency: 4 } }),
      {},
      /9 drafts per block/,
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
