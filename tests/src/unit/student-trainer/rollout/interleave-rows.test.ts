import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { rngKeyOf } from "@tandem/shared/numeric/hash32.js";
import { NO_SIGNAL } from "@tandem/shared/wire/teacher-signal.js";
import { interleaveRows } from "@tandem/student-trainer/rollout/interleave-rows.js";
import { StudentEngine } from "@tandem/student-trainer/rollout/student-engine.js";
import { TeacherClient } from "@tandem/student-trainer/teacher/teacher-client.js";
import { TEACHER_DEFAULTS } from "@tandem/student-trainer/teacher/teacher-options.js";

import {
  startScriptedTeacher,
  type Script,
  type ScriptedTeacher,
} from "../../../helpers/scripted-teacher.js";
import { TOY_STOP, TOY_TEACHER, TOY_VOCABULARY, toyLogits } from "../../../helpers/toy-law.js";
import { interleaveOneByOne } from "../../../helpers/toy-oracle.js";
import { ToyRunner } from "../../../helpers/toy-runner.js";

const ACCEPT_RANK = 5;
const MAX_RESPONSE = 24;
const RUN_SEED = 7;
const STUDENT = { temperature: 1, topK: 0, topP: 1 };
const TEACHER = { temperature: 0.5, topK: 0, topP: 1 };
const ORDERS = Array.from({ length: 12 }, (_, row) => ({
  row,
  sample: row % 2,
  epoch: 3,
  prompt: Uint32Array.from({ length: 1 + (row % 4) }, (__, i) => 1 + ((row + 3 * i) % 10)),
}));
const EXPECTED = ORDERS.map(({ row, sample, epoch, prompt }) =>
  interleaveOneByOne({
    runSeed: RUN_SEED,
    rngKey: rngKeyOf(epoch, row, sample),
    prompt: [...prompt],
    maxResponse: MAX_RESPONSE,
    acceptRank: ACCEPT_RANK,
    student: STUDENT,
    teacher: TEACHER,
  }),
);

interface Pace {
  readonly blockLength: number;
  readonly draftAhead: number;
  readonly concurrency: number;
  readonly script?: Script;
}

/** One healthy teacher for all tests that do not disturb theirs. */
let healthy: ScriptedTeacher;
before(async () => {
  healthy = await startScriptedTeacher();
});
after(() => healthy.close());

async function write({ blockLength, draftAhead, concurrency, script }: Pace) {
  const server = script === undefined ? healthy : await startScriptedTeacher(script);
  const countsBefore = { ...server.counts };
  const teacher = await TeacherClient.connect({
    ...TEACHER_DEFAULTS,
    retryTimeoutMs: 5_000,
    addresses: [server.address],
    random: () => 0,
  });
  const runner = new ToyRunner();
  try {
    const { rollouts } = await interleaveRows({
      engine: new StudentEngine(runner),
      teacher,
      orders: ORDERS,
      settings: {
        runSeed: RUN_SEED,
        blockLength,
        draftAhead,
        maxResponse: MAX_RESPONSE,
        stopIds: new Set([TOY_STOP]),
        sampling: STUDENT,
        studentTopK: 0,
      },
      request: {
        stopIds: [TOY_STOP],
        rule: { kind: "rank", k: ACCEPT_RANK },
        sampling: TEACHER,
        signal: { ...NO_SIGNAL, dense: "f32" },
      },
      concurrency,
    });
    return { rollouts, counts: difference(server.counts, countsBefore) };
  } finally {
    teacher.close();
    if (server !== healthy) await server.close();
  }
}

function difference(
  now: ScriptedTeacher["counts"],
  then: ScriptedTeacher["counts"],
): ScriptedTeacher["counts"] {
  return {
    streams: now.streams - then.streams,
    opens: now.opens - then.opens,
    drafts: now.drafts - then.drafts,
    stales: now.stales - then.stales,
    computed: now.computed - then.computed,
    scores: 0,
  };
}

type Written = Awaited<ReturnType<typeof write>>;

function assertAsOneByOne({ rollouts }: Written): void {
  rollouts.forEach(({ response, authors, finish }, i) => {
    const expected = EXPECTED[i] as (typeof EXPECTED)[number];
    assert.deepEqual([...response], expected.tokens, `tokens of row ${i}`);
    assert.deepEqual([...authors], expected.authors, `authors of row ${i}`);
    assert.equal(finish, expected.tokens.at(-1) === TOY_STOP ? "stop" : "length");
  });
}

describe("interleaveRows", () => {
  it("has rows of every kind in its test data", () => {
    const finishes = EXPECTED.map(({ tokens }) => tokens.at(-1) === TOY_STOP);
    assert.ok(finishes.includes(true) && finishes.includes(false));
    const authors = new Set(EXPECTED.flatMap((row) => row.authors));
    assert.deepEqual(
      [...authors].sort((a, b) => a - b),
      [0, 1],
    );
  });

  for (const blockLength of [1, 3, 8]) {
    for (const draftAhead of [0, 1, 2]) {
      for (const concurrency of [1, 5]) {
        it(`writes what the token-by-token loop writes: γ ${blockLength}, ahead ${draftAhead}, rows ${concurrency}`, async () => {
          assertAsOneByOne(await write({ blockLength, draftAhead, concurrency }));
        });
      }
    }
  }

  it("does not depend on the teacher's pace", async () => {
    const delayMs = (n: number) => (n * 7) % 4;
    assertAsOneByOne(
      await write({ blockLength: 3, draftAhead: 2, concurrency: 6, script: { delayMs } }),
    );
  });

  it("keeps the signal of exactly the kept positions", async () => {
    const { rollouts } = await write({ blockLength: 4, draftAhead: 1, concurrency: 12 });
    for (const { prompt, response, signal } of rollouts) {
      assert.equal(signal?.from, prompt.length);
      assert.equal(signal?.count, response.length);
      for (let i = 0; i < response.length; i++) {
        const law = toyLogits([...prompt, ...response.subarray(0, i)], TOY_TEACHER);
        const row: Float32Array | undefined = signal?.dense?.subarray(
          i * TOY_VOCABULARY,
          (i + 1) * TOY_VOCABULARY,
        );
        assert.deepEqual(row, law);
      }
    }
  });

  it("counts judged, accepted, replaced and computed positions", async () => {
    const { rollouts, counts } = await write({ blockLength: 4, draftAhead: 0, concurrency: 12 });
    rollouts.forEach(({ stats, authors }) => {
      const replaced = authors.filter((author) => author === 1).length;
      assert.equal(stats.replaced, replaced);
      assert.equal(stats.accepted, authors.length - replaced);
      assert.equal(stats.judged, authors.length);
    });
    const computed = rollouts.reduce((sum, { stats }) => sum + stats.computedPositions, 0);
    assert.equal(computed, counts.computed);
    assert.equal(counts.stales, 0, "nothing is drafted ahead");
  });

  it("drafts ahead of unanswered blocks, and what a rejection overtakes costs the teacher nothing", async () => {
    const ahead = await write({
      blockLength: 3,
      draftAhead: 2,
      concurrency: 4,
      script: { delayMs: () => 2 },
    });
    const plain = await write({ blockLength: 3, draftAhead: 0, concurrency: 4 });
    assert.ok(ahead.counts.stales > 0, "some guesses failed");
    assert.equal(ahead.counts.computed, plain.counts.computed);
  });

  it("is not disturbed by streams that break with drafts in flight", async () => {
    const broken = await write({
      blockLength: 3,
      draftAhead: 2,
      concurrency: 6,
      script: { breakAt: new Set([4, 5, 17, 30]), delayMs: () => 1 },
    });
    assertAsOneByOne(broken);
    assert.equal(broken.counts.streams, 5);
  });

  it("opens sessions again that the server lost or could not hold", async () => {
    const failAt = new Map([
      [3, "NOT_FOUND"],
      [9, "UNAVAILABLE"],
      [14, "RESOURCE_EXHAUSTED"],
    ] as const);
    const written = await write({
      blockLength: 3,
      draftAhead: 1,
      concurrency: 6,
      script: { failAt },
    });
    assertAsOneByOne(written);
    assert.equal(written.counts.streams, 1);
    assert.ok(written.counts.opens >= ORDERS.length + 3);
  });

  it("fails with the server's reason when an item is wrong for good", async () => {
    const failAt = new Map([[5, "INVALID_ARGUMENT"]] as const);
    await assert.rejects(
      write({ blockLength: 3, draftAhead: 1, concurrency: 6, script: { failAt } }),
      { code: "INVALID_ARGUMENT", message: /scripted/ },
    );
  });
});
