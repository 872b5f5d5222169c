import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { ModelRunner } from "@tandem/shared/inference/model-runner.js";
import { rngKeyOf } from "@tandem/shared/numeric/hash32.js";
import { NO_SIGNAL } from "@tandem/shared/wire/teacher-signal.js";
import {
  rolloutSchema,
  toSamplingParams,
  type RolloutConfig,
  type RolloutInput,
} from "@tandem/student-trainer/rollout/rollout-config.js";
import { createRolloutSource } from "@tandem/student-trainer/rollout/rollout-source.js";
import type { Rollout } from "@tandem/student-trainer/rollout/rollout.js";
import { StudentEngine } from "@tandem/student-trainer/rollout/student-engine.js";
import { TeacherClient } from "@tandem/student-trainer/teacher/teacher-client.js";
import { TEACHER_DEFAULTS } from "@tandem/student-trainer/teacher/teacher-options.js";

import { assertAllClose } from "../../helpers/all-close.js";
import { startLiveServer, type LiveServer } from "../../helpers/live-server.js";
import { RolloutOracle } from "../../helpers/rollout-oracle.js";
import {
  makeRolloutPair,
  PAIR_EOS,
  PAIR_VOCABULARY,
  type RolloutPair,
} from "../../helpers/rollout-pair.js";

const ids = (length: number, step: number) =>
  Uint32Array.from({ length }, (_, i) => 2 + ((step * i + length) % 16));
/** The teacher sees longer, shorter, and the same. */
const ROWS = [
  { prompt: ids(3, 5), teacherPrompt: ids(11, 3) },
  { prompt: ids(7, 3), teacherPrompt: ids(2, 7) },
  { prompt: ids(4, 3) },
  { prompt: ids(2, 1), teacherPrompt: ids(20, 11) },
].map((row, index) => ({ ...row, index, promptText: "" }));
const SPEC = { ...NO_SIGNAL, topK: PAIR_VOCABULARY, token: true };
const RUN_SEED = 3;

describe("a teacher that sees another prompt", () => {
  let pair: RolloutPair;
  let server: LiveServer;
  let teacher: TeacherClient;
  let runner: ModelRunner;
  let oracle: RolloutOracle;

  before(async () => {
    pair = await makeRolloutPair();
    server = await startLiveServer({ model: pair.teacherDir });
    const addresses = [server.grpcAddress];
    const options = { ...TEACHER_DEFAULTS, maxLogitError: 0, addresses, random: () => 0 };
    teacher = await TeacherClient.connect(options);
    runner = await ModelRunner.load({ dir: pair.studentDir, threads: 1 });
    oracle = await RolloutOracle.open(pair.studentDir, pair.teacherDir);
  });
  after(async () => {
    teacher?.close();
    await runner?.close();
    await oracle?.close();
    await server?.stop();
    await pair?.remove();
  });

  const configOf = (change: RolloutInput): RolloutConfig =>
    rolloutSchema.parse({
      rows: ROWS.length,
      maxResponse: 14,
      acceptance: { rank: 3 },
      teacherSampling: { temperature: 0 },
      blockLength: 3,
      ...change,
    });

  async function write(config: RolloutConfig, studentTopK = 0): Promise<readonly Rollout[]> {
    const source = createRolloutSource({
      config,
      rows: ROWS,
      shuffle: false,
      runSeed: RUN_SEED,
      stopIds: [PAIR_EOS],
      engine: new StudentEngine(runner),
      teachers: new Map([[undefined, teacher]]),
    });
    const abort = new AbortController().signal;
    const { rollouts } = await source.next({ spec: SPEC, studentTopK, progress: 0, abort });
    return rollouts;
  }

  /** Each law of the signal is the one behind the teacher's prompt and the response so far. */
  async function assertLaws({ prompt, response, signal }: Rollout, row: number): Promise<void> {
    assert.deepEqual([signal?.from, signal?.count], [prompt.length, response.length]);
    const seen = ROWS[row]?.teacherPrompt ?? prompt;
    for (const [i] of response.entries()) {
      const law = await oracle.law("teacher", Uint32Array.of(...seen, ...response.subarray(0, i)));
      const from = i * PAIR_VOCABULARY;
      const listed = signal!.topIds!.subarray(from, from + PAIR_VOCABULARY);
      const logits = signal!.topLogits!.subarray(from, from + PAIR_VOCABULARY);
      assertAllClose(
        logits,
        [...listed].map((id) => law[id]!),
        { rtol: 1e-5, atol: 1e-5 },
      );
    }
  }

  for (const [kind, studentTopK] of [
    ["skd", 0],
    ["skd", 2],
    ["sequence", 0],
    ["sequence", 2],
    ["on-policy", 2],
  ] as const) {
    it(`judges the response behind it: ${kind}, ${studentTopK} ids of the student`, async () => {
      const rollouts = await write(configOf({ kind }), studentTopK);
      for (const [row, rollout] of rollouts.entries()) await assertLaws(rollout, row);
    });
  }

  it("replaces drafts as a token-by-token loop does that shows each model its own prompt", async () => {
    const config = configOf({ kind: "skd", maxResponse: 20 });
    const rollouts = await write(config);
    for (const [row, { prompt, teacherPrompt }] of ROWS.entries()) {
      const text = await oracle.interleave({
        runSeed: RUN_SEED,
        rngKey: rngKeyOf(0, row, 0),
        prompt,
        ...(teacherPrompt && { teacherPrompt }),
        maxResponse: 20,
        stopId: PAIR_EOS,
        rule: { kind: "rank", k: 3 },
        student: toSamplingParams(config.studentSampling, 0),
        teacher: toSamplingParams(config.teacherSampling, 0),
      });
      assert.deepEqual([...rollouts[row]!.response], text.tokens, `row ${row}`);
      assert.deepEqual([...rollouts[row]!.authors], text.authors, `row ${row}`);
    }
    assert.ok(rollouts.some(({ authors }) => authors.includes(1)));
  });
});
