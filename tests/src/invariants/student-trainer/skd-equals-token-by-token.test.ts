import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { ModelRunner } from "@tandem/shared/inference/model-runner.js";
import { rngKeyOf } from "@tandem/shared/numeric/hash32.js";
import type { AcceptanceRule } from "@tandem/shared/sampling/acceptance.js";
import { NO_SIGNAL } from "@tandem/shared/wire/teacher-signal.js";
import { interleaveRows } from "@tandem/student-trainer/rollout/interleave-rows.js";
import type { Rollout } from "@tandem/student-trainer/rollout/rollout.js";
import { StudentEngine } from "@tandem/student-trainer/rollout/student-engine.js";
import { TeacherClient } from "@tandem/student-trainer/teacher/teacher-client.js";
import { TEACHER_DEFAULTS } from "@tandem/student-trainer/teacher/teacher-options.js";

import { startLiveServer, type LiveServer } from "../../helpers/live-server.js";
import { RolloutOracle, type OracleText } from "../../helpers/rollout-oracle.js";
import { makeRolloutPair, PAIR_EOS, type RolloutPair } from "../../helpers/rollout-pair.js";
import { watchTeacher, type TeacherCounts } from "../../helpers/rollout-watch.js";

const RUN_SEED = 11;
const MAX_RESPONSE = 20;
const STUDENT = { temperature: 1, topK: 0, topP: 0.95 };
const TEACHER = { temperature: 0.7, topK: 6, topP: 0.9 };
const ORDERS = Array.from({ length: 7 }, (_, row) => ({
  row,
  sample: 0,
  epoch: 1,
  prompt: Uint32Array.from({ length: 1 + ((5 * row) % 9) }, (__, i) => 2 + ((3 * row + i) % 16)),
}));
const RULES: readonly AcceptanceRule[] = [
  { kind: "rank", k: 4 },
  { kind: "top-p", p: 0.6 },
  { kind: "min-p", p: 0.08 },
  { kind: "greedy" },
  { kind: "filtered", k: 3 },
  { kind: "mixture", share: 0.3 },
];

interface Pace {
  readonly blockLength: number;
  readonly draftAhead: number;
  readonly concurrency: number;
  readonly studentTopK?: number;
}

describe("skd over the wire", () => {
  let pair: RolloutPair;
  let server: LiveServer;
  let oracle: RolloutOracle;
  let teacher: TeacherClient;
  let runner: ModelRunner;
  const expected = new Map<AcceptanceRule, readonly OracleText[]>();

  before(async () => {
    pair = await makeRolloutPair();
    server = await startLiveServer({ model: pair.teacherDir });
    oracle = await RolloutOracle.open(pair.studentDir, pair.teacherDir);
    runner = await ModelRunner.load({ dir: pair.studentDir, threads: 1 });
    teacher = await TeacherClient.connect({
      ...TEACHER_DEFAULTS,
      maxLogitError: 0,
      addresses: [server.grpcAddress],
      random: () => 0,
    });
    for (const rule of RULES) {
      const texts: OracleText[] = [];
      for (const { epoch, row, sample, prompt } of ORDERS) {
        const rngKey = rngKeyOf(epoch, row, sample);
        const order = { runSeed: RUN_SEED, rngKey, prompt, maxResponse: MAX_RESPONSE, rule };
        texts.push(
          await oracle.interleave({
            ...order,
            stopId: PAIR_EOS,
            student: STUDENT,
            teacher: TEACHER,
          }),
        );
      }
      expected.set(rule, texts);
    }
  });

  after(async () => {
    teacher?.close();
    await runner?.close();
    await oracle?.close();
    await server?.stop();
    await pair?.remove();
  });

  async function write(
    rule: AcceptanceRule,
    { blockLength, draftAhead, concurrency, studentTopK = 0 }: Pace,
  ): Promise<{ readonly rollouts: readonly Rollout[]; readonly counts: TeacherCounts }> {
    const watched = watchTeacher(teacher);
    const { rollouts } = await interleaveRows({
      engine: new StudentEngine(runner),
      teacher: watched.teacher,
      orders: ORDERS,
      settings: {
        runSeed: RUN_SEED,
        blockLength,
        draftAhead,
        maxResponse: MAX_RESPONSE,
        stopIds: new Set([PAIR_EOS]),
        sampling: STUDENT,
        studentTopK,
      },
      request: {
        stopIds: [PAIR_EOS],
        rule,
        sampling: TEACHER,
        signal: { ...NO_SIGNAL, topK: 5, token: true },
      },
      concurrency,
    });
    return { rollouts, counts: watched.counts };
  }

  function assertExpected(rule: AcceptanceRule, rollouts: readonly Rollout[]): void {
    const texts = expected.get(rule) ?? [];
    rollouts.forEach(({ response, authors }, i) => {
      assert.deepEqual([...response], texts[i]?.tokens, `tokens of row ${i}`);
      assert.deepEqual([...authors], texts[i]?.authors, `authors of row ${i}`);
    });
  }

  for (const rule of RULES) {
    it(`has both authors and both ends in its test data, rule ${rule.kind}`, () => {
      const texts = expected.get(rule) ?? [];
      const authors = texts.flatMap((text) => text.authors);
      assert.ok(authors.includes(0) && authors.includes(1));
    });

    for (const blockLength of [1, 3, 8]) {
      it(`writes what a token-by-token loop writes: rule ${rule.kind}, γ ${blockLength}`, async () => {
        const { rollouts } = await write(rule, { blockLength, draftAhead: 1, concurrency: 7 });
        assertExpected(rule, rollouts);
      });
    }
  }

  it("does not depend on rows at once or on drafting ahead, down to the bits of the signal", async () => {
    const rule = RULES[0] as AcceptanceRule;
    const { rollouts: reference } = await write(rule, {
      blockLength: 1,
      draftAhead: 0,
      concurrency: 1,
    });
    for (const draftAhead of [0, 1, 2]) {
      for (const concurrency of [1, 4, 7]) {
        const { rollouts } = await write(rule, { blockLength: 3, draftAhead, concurrency });
        assertExpected(rule, rollouts);
        assert.deepEqual(
          rollouts.map(({ signal }) => signal),
          reference.map(({ signal }) => signal),
        );
      }
    }
  });

  it("gives the teacher's law at every kept position", async () => {
    const { rollouts } = await write(RULES[0] as AcceptanceRule, {
      blockLength: 4,
      draftAhead: 1,
      concurrency: 7,
    });
    for (const { prompt, response, signal } of rollouts.slice(0, 3)) {
      for (let i = 0; i < response.length; i++) {
        const law = await oracle.law("teacher", Uint32Array.of(...prompt, ...response.slice(0, i)));
        const token = law[response[i] as number] as number;
        assert.equal(signal?.rank?.[i], law.filter((logit) => logit > token).length);
        const lse = Math.log(law.reduce((sum, logit) => sum + Math.exp(logit), 0));
        assert.ok(Math.abs((signal?.lse?.[i] ?? NaN) - lse) < 1e-5);
      }
    }
  });

  it("brings the teacher's logits at the ids that the student chose", async () => {
    const rule = RULES[0] as AcceptanceRule;
    const studentTopK = 3;
    const { rollouts } = await write(rule, {
      blockLength: 4,
      draftAhead: 1,
      concurrency: 7,
      studentTopK,
    });
    assertExpected(rule, rollouts);
    for (const { prompt, response, signal, atIds } of rollouts.slice(0, 3)) {
      assert.equal(atIds?.length, studentTopK * response.length);
      for (let i = 0; i < response.length; i++) {
        const context = Uint32Array.of(...prompt, ...response.slice(0, i));
        const own = await oracle.law("student", context);
        const law = await oracle.law("teacher", context);
        const best = [...own.keys()].sort((a, b) => (own[b] as number) - (own[a] as number));
        const ids: Uint32Array | undefined = atIds?.subarray(
          studentTopK * i,
          studentTopK * (i + 1),
        );
        assert.deepEqual([...(ids ?? [])], best.slice(0, studentTopK));
        const logits = signal?.atLogits?.subarray(studentTopK * i, studentTopK * (i + 1));
        best.slice(0, studentTopK).forEach((id, j) => {
          assert.ok(Math.abs((logits?.[j] ?? NaN) - (law[id] as number)) < 1e-5);
        });
      }
    }
  });

  it("computes kept positions and drafts behind the first rejection, not one more", async () => {
    for (const draftAhead of [0, 2]) {
      const { rollouts, counts } = await write(RULES[0] as AcceptanceRule, {
        blockLength: 5,
        draftAhead,
        concurrency: 4,
      });
      const sum = (pick: (stats: Rollout["stats"]) => number) =>
        rollouts.reduce((total, { stats }) => total + pick(stats), 0);
      const kept = rollouts.reduce((total, { response }) => total + response.length, 0);
      assert.equal(
        sum((stats) => stats.judged),
        kept,
      );
      assert.equal(
        sum((stats) => stats.accepted + stats.replaced),
        kept,
      );
      assert.ok(counts.behindRejection > 0);
      assert.equal(
        sum((stats) => stats.computedPositions),
        kept + counts.behindRejection,
      );
    }
  });
});
