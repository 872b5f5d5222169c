import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { NO_SIGNAL } from "@tandem/shared/wire/teacher-signal.js";
import type { DraftVerdict } from "@tandem/shared/inference/step.js";
import type { ValidDraft, ValidOpen } from "@tandem/teacher-server/admission/valid-interleave.js";
import {
  InterleaveSession,
  type DraftStep,
} from "@tandem/teacher-server/sessions/interleave-session.js";

const STOP = 9;

function sessionOf(open: Partial<ValidOpen> = {}): InterleaveSession {
  return new InterleaveSession({
    sequence: 1,
    rngKey: 5,
    runSeed: 6,
    prompt: Uint32Array.of(100, 101),
    response: new Uint32Array(0),
    maxResponse: 8,
    stopIds: new Set([STOP]),
    rule: { kind: "rank", k: 1 },
    sampling: { temperature: 1, topK: 0, topP: 1 },
    signal: { spec: NO_SIGNAL, encoding: { encoding: "plain", maxLogitError: 0 } },
    priority: "high",
    ...open,
  });
}

function draftOf(start: number, tokens: readonly number[], replacementsSeen = 0): ValidDraft {
  return { sequence: 1, start, replacementsSeen, tokens: Uint32Array.from(tokens), timeoutMs: 0 };
}

function verdictOf(accepted: number, replacement?: number): DraftVerdict {
  const ranks = Uint32Array.from(
    { length: accepted + (replacement === undefined ? 0 : 1) },
    () => 0,
  );
  return { accepted, draftRanks: ranks, ...(replacement !== undefined && { replacement }) };
}

/** Tokens and first law of a step that computes. */
function computing(step: DraftStep | undefined): {
  tokens: number[];
  headFrom: number;
  targets: number[];
  replay: boolean;
} {
  assert.equal(step?.kind, "compute");
  const { tokens, headFrom, head, replay } = step.work;
  return { tokens: [...tokens], headFrom, targets: [...head.targets], replay };
}

describe("InterleaveSession", () => {
  it("computes the last known token and all but the last draft", () => {
    const session = sessionOf();
    session.offer(draftOf(0, [1, 2, 3]));
    assert.deepEqual(computing(session.next()), {
      tokens: [100, 101, 1, 2],
      headFrom: 1,
      targets: [1, 2, 3],
      replay: false,
    });
  });

  it("keeps a block that was accepted whole; its last token is not cached yet", () => {
    const session = sessionOf();
    session.offer(draftOf(0, [1, 2, 3]));
    session.next();
    const settled = session.settle(verdictOf(3));
    assert.deepEqual([...session.response()], [1, 2, 3]);
    assert.equal(settled.cachedLength, 4);
    assert.equal(settled.finish, "none");
  });

  it("keeps the accepted drafts and the replacement; what is cached ends before the replacement", () => {
    const session = sessionOf();
    session.offer(draftOf(0, [1, 2, 3]));
    session.next();
    const settled = session.settle(verdictOf(1, 7));
    assert.deepEqual([...session.response()], [1, 7]);
    assert.equal(settled.cachedLength, 3);
  });

  it("answers a draft that ran ahead of a rejection with stale, and goes on with the one that knows of it", () => {
    const session = sessionOf();
    for (const draft of [draftOf(0, [1, 2]), draftOf(2, [3, 4]), draftOf(4, [5, 6])])
      session.offer(draft);
    session.next();
    session.settle(verdictOf(0, 7));
    assert.equal(session.next()?.kind, "stale");
    assert.equal(session.next()?.kind, "stale");
    session.offer(draftOf(1, [8], 1));
    assert.deepEqual(computing(session.next()).tokens, [100, 101, 7]);
  });

  it("judges drafts sent ahead once those before them are accepted", () => {
    const session = sessionOf();
    session.offer(draftOf(0, [1, 2]));
    session.offer(draftOf(2, [3]));
    session.next();
    assert.equal(session.next(), undefined, "one at a time");
    session.settle(verdictOf(2));
    assert.deepEqual(computing(session.next()), {
      tokens: [100, 101, 1, 2],
      headFrom: 3,
      targets: [3],
      replay: false,
    });
  });

  it("computes an answered draft again from the same tokens and leaves the sequence as it is", () => {
    const session = sessionOf();
    session.offer(draftOf(0, [1, 2, 3]));
    session.next();
    session.settle(verdictOf(1, 7));
    session.offer(draftOf(2, [4], 1));
    session.next();
    session.settle(verdictOf(1));
    session.offer(draftOf(0, [1, 2, 3]));
    assert.deepEqual(computing(session.next()), {
      tokens: [100, 101, 1, 2],
      headFrom: 1,
      targets: [1, 2, 3],
      replay: true,
    });
    const again = session.settle(verdictOf(1, 7));
    assert.equal(again.cachedLength, 3, "what lies behind was overwritten");
    assert.deepEqual([...session.response()], [1, 7, 4]);
  });

  it("repeats an answered draft of a finished sequence, too", () => {
    const session = sessionOf();
    session.offer(draftOf(0, [1, STOP]));
    session.next();
    assert.equal(session.settle(verdictOf(2)).finish, "stop");
    session.offer(draftOf(0, [1, STOP]));
    assert.equal(computing(session.next()).replay, true);
    assert.equal(session.settle(verdictOf(2)).finish, "stop");
  });

  it("finishes at a stop token, whoever wrote it, and computes nothing behind it", () => {
    const student = sessionOf();
    student.offer(draftOf(0, [1, STOP, 3, 4]));
    assert.deepEqual(computing(student.next()), {
      tokens: [100, 101, 1],
      headFrom: 1,
      targets: [1, STOP],
      replay: false,
    });
    assert.equal(student.settle(verdictOf(2)).finish, "stop");
    student.offer(draftOf(4, [5]));
    assert.equal(student.next()?.kind, "stale");

    const teacher = sessionOf();
    teacher.offer(draftOf(0, [1, 2]));
    teacher.next();
    assert.equal(teacher.settle(verdictOf(1, STOP)).finish, "stop");
  });

  it("finishes at the length limit and computes nothing beyond it", () => {
    const session = sessionOf({ maxResponse: 3 });
    session.offer(draftOf(0, [1, 2, 3, 4, 5]));
    assert.deepEqual(computing(session.next()).targets, [1, 2, 3]);
    assert.equal(session.settle(verdictOf(3)).finish, "length");
    assert.deepEqual([...session.response()], [1, 2, 3]);
  });

  it("calls a stop on the last free place a stop", () => {
    const session = sessionOf({ maxResponse: 2 });
    session.offer(draftOf(0, [1, STOP]));
    session.next();
    assert.equal(session.settle(verdictOf(2)).finish, "stop");
  });

  it("cuts temperatures and asked ids with the draft", () => {
    const session = sessionOf();
    session.offer({
      ...draftOf(0, [STOP, 2]),
      taus: Float32Array.of(1, 2, 3, 4),
      atOffsets: Uint32Array.of(0, 1, 3),
      atIds: Uint32Array.of(7, 8, 9),
    });
    const step = session.next();
    assert.equal(step?.kind, "compute");
    const { taus, atOffsets, atIds } = step.work.head;
    assert.deepEqual([[...taus!], [...atOffsets!], [...atIds!]], [[1, 2], [0, 1], [7]]);
  });

  it("counts random numbers by response position, also after it was opened again", () => {
    const session = sessionOf({ response: Uint32Array.of(1, 2) });
    session.offer(draftOf(2, [3, 4], 5));
    const step = session.next();
    assert.equal(step?.kind, "compute");
    assert.deepEqual(step.work.head.random, { runSeed: 6, rngKey: 5, firstPosition: 2 });
    assert.deepEqual([...step.work.tokens], [100, 101, 1, 2, 3]);
  });

  it("takes the count of replacements of a re-opened sequence from its first draft", () => {
    const session = sessionOf({ response: Uint32Array.of(1) });
    session.offer(draftOf(1, [2], 4));
    session.next();
    session.settle(verdictOf(0, 7));
    session.offer(draftOf(2, [3], 4));
    assert.equal(session.next()?.kind, "stale");
    session.offer(draftOf(2, [3], 5));
    assert.equal(session.next()?.kind, "compute");
  });

  it("knows that a re-opened response is complete", () => {
    assert.equal(sessionOf({ response: Uint32Array.of(1, STOP) }).finish, "stop");
    assert.equal(sessionOf({ response: Uint32Array.of(1, 2), maxResponse: 2 }).finish, "length");
    assert.equal(sessionOf({ response: Uint32Array.of(1, 2) }).finish, "none");
  });

  const refused: readonly (readonly [string, ValidDraft, RegExp])[] = [
    ["a gap", draftOf(3, [1]), /starts at 3, but 2 response tokens/],
    ["other tokens at an answered place", draftOf(0, [5, 5]), /starts at 0, but 2/],
    [
      "replacements that did not happen",
      draftOf(2, [1], 3),
      /has seen 3 replacements, but sequence 1 had 0/,
    ],
  ];
  for (const [what, draft, message] of refused) {
    it(`refuses ${what} and goes on`, () => {
      const session = sessionOf();
      session.offer(draftOf(0, [1, 2]));
      session.next();
      session.settle(verdictOf(2));
      session.offer(draft);
      const step = session.next();
      assert.equal(step?.kind, "error");
      assert.equal(step.error.code, "FAILED_PRECONDITION");
      assert.match(step.error.message, message);
      session.offer(draftOf(2, [3]));
      assert.equal(session.next()?.kind, "compute");
    });
  }

  it("gives back the draft being computed and all that were built on it", () => {
    const session = sessionOf();
    for (const draft of [draftOf(0, [1]), draftOf(1, [2]), draftOf(2, [3])]) session.offer(draft);
    session.next();
    assert.deepEqual(
      session.abandon().map(({ start }) => start),
      [0, 1, 2],
    );
    assert.equal(session.waitingDrafts, 0);
    session.offer(draftOf(0, [1]));
    assert.equal(computing(session.next()).replay, false);
  });
});
