import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { ModelRunner } from "@tandem/shared/inference/model-runner.js";
import { NO_SIGNAL } from "@tandem/shared/wire/teacher-signal.js";
import { loadTokenizer, type Tokenizer } from "@tandem/shared/tokenizer/tokenizer.js";
import { evaluateStudent } from "@tandem/student-trainer/evaluation/evaluate-student.js";
import { interleaveRows } from "@tandem/student-trainer/rollout/interleave-rows.js";
import { LossSet, lossesSchema } from "@tandem/student-trainer/losses/loss-set.js";
import { AUTHOR, NO_STATS, type Rollout } from "@tandem/student-trainer/rollout/rollout.js";
import { rolloutSchema } from "@tandem/student-trainer/rollout/rollout-config.js";
import { createRolloutSource } from "@tandem/student-trainer/rollout/rollout-source.js";
import { scoreRollouts } from "@tandem/student-trainer/rollout/score-rollouts.js";
import { StudentEngine } from "@tandem/student-trainer/rollout/student-engine.js";
import { TeacherClient } from "@tandem/student-trainer/teacher/teacher-client.js";
import { TEACHER_DEFAULTS } from "@tandem/student-trainer/teacher/teacher-options.js";

import { startLiveServer, type LiveServer } from "../../helpers/live-server.js";
import { RolloutOracle } from "../../helpers/rollout-oracle.js";
import { makeRolloutPair, PAIR_EOS, type RolloutPair } from "../../helpers/rollout-pair.js";

const SPEC = { ...NO_SIGNAL, topK: 5, token: true, moments: true, taus: [0.7, 2] };
const PROMPTS = Array.from({ length: 6 }, (_, row) =>
  Uint32Array.from({ length: 2 + row }, (__, i) => 2 + ((5 * row + i) % 16)),
);

describe("the teacher's signal at the student", () => {
  let pair: RolloutPair;
  let server: LiveServer;
  let teacher: TeacherClient;
  let engine: StudentEngine;
  let runner: ModelRunner;
  let tokenizer: Tokenizer;

  before(async () => {
    pair = await makeRolloutPair();
    server = await startLiveServer({ model: pair.teacherDir });
    runner = await ModelRunner.load({ dir: pair.studentDir, threads: 1 });
    engine = new StudentEngine(runner);
    tokenizer = await loadTokenizer(pair.studentDir);
    teacher = await TeacherClient.connect({
      ...TEACHER_DEFAULTS,
      maxLogitError: 0,
      addresses: [server.grpcAddress],
      random: () => 0,
    });
  });
  after(async () => {
    teacher?.close();
    await runner?.close();
    await server?.stop();
    await pair?.remove();
  });

  it("of the verifying pass is the one that a second pass over the text would bring, bit for bit", async () => {
    const { rollouts } = await interleaveRows({
      engine,
      teacher,
      orders: PROMPTS.map((prompt, row) => ({ row, sample: 0, epoch: 0, prompt })),
      settings: {
        runSeed: 2,
        blockLength: 4,
        draftAhead: 1,
        maxResponse: 16,
        stopIds: new Set([PAIR_EOS]),
        sampling: { temperature: 1, topK: 0, topP: 1 },
        studentTopK: 3,
      },
      request: {
        stopIds: [PAIR_EOS],
        rule: { kind: "rank", k: 4 },
        sampling: { temperature: 0.5, topK: 0, topP: 1 },
        signal: SPEC,
      },
      concurrency: 4,
    });
    const again = await scoreRollouts(
      rollouts.map(({ signal: _s, atIds: _a, ...rollout }) => rollout),
      {
        teachers: new Map([[undefined, teacher]]),
        engine,
        concurrency: 4,
        spec: SPEC,
        studentTopK: 3,
        runSeed: 2,
      },
    );
    assert.deepEqual(
      again.rollouts.map(({ signal }) => signal),
      rollouts.map(({ signal }) => signal),
    );
    assert.deepEqual(
      again.rollouts.map(({ atIds }) => atIds),
      rollouts.map(({ atIds }) => atIds),
    );
  });

  it("ends lists at a mass, in either encoding", async () => {
    const whole = { ...NO_SIGNAL, topK: 12 };
    const tokens = Uint32Array.of(3, 9, 4, 7, 11, 2, 5);
    const scoreWith = async (encoding: "plain" | "compact", signal: typeof whole) => {
      const client = await TeacherClient.connect({
        ...TEACHER_DEFAULTS,
        encoding,
        maxLogitError: 0,
        addresses: [server.grpcAddress],
        random: () => 0,
      });
      try {
        const scored = await client.score({ tokens, from: 1, signal });
        assert.ok(scored.signal);
        return scored.signal;
      } finally {
        client.close();
      }
    };
    const { topIds, topLogits, lse } = await scoreWith("plain", whole);
    const plain = await scoreWith("plain", { ...whole, topPMass: 0.75 });
    for (let row = 0; row < plain.count; row++) {
      const own = topLogits!.subarray(row * 12, (row + 1) * 12);
      let mass = 0;
      const end = own.findIndex((u) => (mass += Math.exp(u - lse![row]!)) >= 0.75);
      const length = end < 0 ? 12 : end + 1;
      const range = [plain.topOffsets![row]!, plain.topOffsets![row + 1]!] as const;
      assert.deepEqual(
        plain.topIds!.subarray(...range),
        topIds!.subarray(row * 12, row * 12 + length),
      );
    }
    assert.ok(plain.topIds!.length < topIds!.length);
    assert.deepEqual(await scoreWith("compact", { ...whole, topPMass: 0.75 }), plain);
  });

  it("of its own text is the one that a second pass brings", async () => {
    const responses = await teacher.generate({
      items: PROMPTS.map((prompt, row) => ({ prompt, rngKey: row })),
      sampling: { temperature: 1, topK: 0, topP: 1 },
      maxResponse: 12,
      stopIds: [PAIR_EOS],
      runSeed: 4,
      signal: SPEC,
    });
    for (const [i, { tokens, signal, finish }] of responses.entries()) {
      assert.equal(finish, tokens.at(-1) === PAIR_EOS ? "stop" : "length");
      const prompt = PROMPTS[i] as Uint32Array;
      const scored = await teacher.score({
        tokens: Uint32Array.of(...prompt, ...tokens),
        from: prompt.length,
        signal: SPEC,
      });
      assert.deepEqual(signal, scored.signal);
    }
  });

  it("is exact at temperatures of each position, which follow from both sides' moments", async () => {
    const losses = new LossSet(lossesSchema.parse([{ name: "dtkd", dense: false, topK: 5 }]));
    const response = Uint32Array.of(7, 4, 11, 9);
    const rollouts = PROMPTS.map((prompt, row): Rollout => {
      const authors = new Uint8Array(response.length).fill(AUTHOR.student);
      const text = { row, sample: 0, epoch: 0, prompt, response, authors };
      return { ...text, finish: "length", stats: NO_STATS };
    });
    const scored = await scoreRollouts(rollouts, {
      ...losses.requirement(0),
      teachers: new Map([[undefined, teacher]]),
      engine,
      concurrency: 4,
      runSeed: 1,
    });
    const oracle = await RolloutOracle.open(pair.studentDir, pair.teacherDir);
    for (const { prompt, signal } of scored.rollouts) {
      assert.equal(signal?.tauCount, 3);
      for (let i = 0; i < response.length; i++) {
        const context = Uint32Array.of(...prompt, ...response.subarray(0, i));
        const u = Array.from(await oracle.law("teacher", context));
        const v = Array.from(await oracle.law("student", context));
        const peak = (z: readonly number[]) =>
          Math.max(...z) - z.reduce((sum, own) => sum + own, 0) / z.length;
        const [x, y] = [peak(u), peak(v)];
        const own = [4, Math.max(1, (8 * x) / (x + y)), Math.max(1, (8 * y) / (x + y))];
        own.forEach((tau, slot) => {
          const at = 3 * i + slot;
          const cooled = u.map((own) => own / tau);
          const lse = Math.log(cooled.reduce((sum, own) => sum + Math.exp(own), 0));
          const rest = order(u).slice(5);
          const tail = rest.reduce((sum, id) => sum + Math.exp(cooled[id]! - lse), 0);
          assert.ok(Math.abs(signal.taus![at]! - tau) < 1e-4, `tau ${slot}`);
          assert.ok(Math.abs(signal.lseAt![at]! - lse) < 1e-4, `lse at ${tau}`);
          assert.ok(Math.abs(signal.logTailAt![at]! - Math.log(tail)) < 1e-4, `tail at ${tau}`);
        });
      }
    }
    await oracle.close();
  });

  it("comes at such temperatures also for text that both wrote together", async () => {
    const losses = new LossSet(lossesSchema.parse([{ name: "dtkd", dense: false, topK: 5 }]));
    const requirement = losses.requirement(0);
    const teachers = new Map([[undefined, teacher]]);
    const source = createRolloutSource({
      config: rolloutSchema.parse({ kind: "skd", rows: 4, maxResponse: 10, blockLength: 3 }),
      rows: PROMPTS.slice(0, 4).map((prompt, index) => ({ index, prompt, promptText: "" })),
      shuffle: false,
      runSeed: 6,
      stopIds: [PAIR_EOS],
      engine,
      teachers,
    });
    const abort = new AbortController().signal;
    const { rollouts } = await source.next({ ...requirement, progress: 0, abort });
    const unscored = rollouts.map((rollout): Rollout => {
      const own = { ...rollout };
      delete own.signal;
      return own;
    });
    const again = await scoreRollouts(unscored, {
      ...requirement,
      teachers,
      engine,
      concurrency: 4,
      runSeed: 6,
    });
    for (const [row, { signal, response }] of rollouts.entries()) {
      assert.deepEqual([signal?.tauCount, signal?.topK], [3, 5]);
      assert.equal(signal?.count, response.length);
      assert.deepEqual(signal, again.rollouts[row]!.signal);
    }
  });

  it("measures the student: KL over all ids where the list holds them all", async () => {
    const rows = PROMPTS.map((prompt, index) => ({
      index,
      promptText: "",
      prompt,
      answerText: "",
    }));
    const { rows: evaluated, measures } = await evaluateStudent({
      engine,
      rows,
      config: { rows: 6, concurrency: 4, teacherRows: 6 },
      codec: tokenizer,
      maxResponse: 8,
      stopIds: [PAIR_EOS],
      teacher,
    });
    const oracle = await RolloutOracle.open(pair.studentDir, pair.teacherDir);
    let [kl, best, logProbability, count] = [0, 0, 0, 0];
    let [accepted, sameFirst3, overlap5] = [0, 0, 0];
    for (const { row, response } of evaluated) {
      for (const [i, token] of response.tokens.entries()) {
        const context = Uint32Array.of(...row.prompt, ...response.tokens.subarray(0, i));
        const p = logSoftmax(await oracle.law("teacher", context));
        const q = logSoftmax(await oracle.law("student", context));
        assert.equal(token, q.indexOf(Math.max(...q)), "answers are greedy");
        kl += p.reduce((sum, logP, id) => sum + Math.exp(logP) * (logP - (q[id] ?? NaN)), 0);
        best += (p[token] ?? NaN) === Math.max(...p) ? 1 : 0;
        logProbability += p[token] ?? NaN;
        accepted += p.reduce((sum, logP, id) => sum + Math.exp(Math.min(logP, q[id] ?? NaN)), 0);
        const [theirs, own] = [order(p), order(q)];
        sameFirst3 += theirs.slice(0, 3).join() === own.slice(0, 3).join() ? 1 : 0;
        overlap5 += theirs.slice(0, 5).filter((id) => own.indexOf(id) < 5).length / 5;
        count++;
      }
    }
    await oracle.close();
    assert.ok(Math.abs((measures.teacherKl ?? NaN) - kl / count) < 1e-4);
    assert.equal(measures.teacherAgreement, best / count);
    assert.ok(Math.abs((measures.teacherLogProbability ?? NaN) - logProbability / count) < 1e-4);
    assert.ok(Math.abs((measures.draftAcceptance ?? NaN) - accepted / count) < 1e-4);
    assert.equal(measures.consistencyAt3, sameFirst3 / count);
    assert.ok(Math.abs((measures.overlapAt5 ?? NaN) - overlap5 / count) < 1e-9);
  });
});

/** Ids, the likeliest first. */
function order(law: readonly number[]): number[] {
  return [...law.keys()].sort((a, b) => (law[b] ?? NaN) - (law[a] ?? NaN) || a - b);
}

/** float64. */
function logSoftmax(logits: Float32Array): number[] {
  const max = Math.max(...logits);
  const lse = max + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - max), 0));
  return Array.from(logits, (logit) => logit - lse);
}
