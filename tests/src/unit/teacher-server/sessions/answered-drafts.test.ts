import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { AnsweredDrafts } from "@tandem/teacher-server/sessions/answered-drafts.js";

const MAX_RESPONSE = 12;

/** Few values, so that many drafts are nearly the same. */
const draft = fc.record({
  start: fc.integer({ min: 0, max: MAX_RESPONSE - 1 }),
  tokens: fc
    .array(fc.constantFrom(0, 1, 2, 2 ** 32 - 1), { minLength: 1, maxLength: 5 })
    .map((tokens) => Uint32Array.from(tokens)),
  replacementsSeen: fc.integer({ min: 0, max: 2 }),
});

describe("AnsweredDrafts", () => {
  it("knows a draft again, and no other", () => {
    fc.assert(
      fc.property(fc.array(draft), fc.array(draft), (answered, asked) => {
        const drafts = new AnsweredDrafts(MAX_RESPONSE);
        // The oracle keeps all of it: the last one at each start.
        const whole = new Map<number, string>();
        for (const each of answered) {
          drafts.add(each);
          whole.set(each.start, JSON.stringify(each));
        }
        for (const each of [...answered, ...asked])
          assert.equal(drafts.has(each), whole.get(each.start) === JSON.stringify(each));
      }),
      { seed: 20261129 },
    );
  });

  it("knows none that starts behind the response", () => {
    const drafts = new AnsweredDrafts(MAX_RESPONSE);
    const far = { start: 2 ** 32 - 1, tokens: Uint32Array.of(0), replacementsSeen: 0 };
    assert.equal(drafts.has(far), false);
  });
});
