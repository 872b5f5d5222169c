import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { ModelRunner } from "@tandem/shared/inference/model-runner.js";
import { NO_SIGNAL, type SignalSpec } from "@tandem/shared/wire/teacher-signal.js";
import { rolloutSchema } from "@tandem/student-trainer/rollout/rollout-config.js";
import { createRolloutSource } from "@tandem/student-trainer/rollout/rollout-source.js";
import { AUTHOR, type Rollout } from "@tandem/student-trainer/rollout/rollout.js";
import { StudentEngine } from "@tandem/student-trainer/rollout/student-engine.js";
import { joinTokens } from "@tandem/student-trainer/rollout/student-laws.js";
import { TeacherClient } from "@tandem/student-trainer/teacher/teacher-client.js";
import { TEACHER_DEFAULTS } from "@tandem/student-trainer/teacher/teacher-options.js";

import { startLiveServer, type LiveServer } from "../../helpers/live-server.js";
import { makeRolloutPair, PAIR_EOS, type RolloutPair } from "../../helpers/rollout-pair.js";

const ROWS = Array.from({ length: 6 }, (_, index) => ({
  index,
  promptText: "",
  prompt: Uint32Array.from({ length: 2 + index }, (__, i) => 2 + ((5 * index + i) % 16)),
  // Every other row is the small teacher's.
  ...(index % 2 === 1 && { teacher: "small" }),
}));
const OWN: SignalSpec = { ...NO_SIGNAL, topK: 5, token: true };
const NAMED: SignalSpec = { ...NO_SIGNAL, topK: 3, taus: [0.5] };

describe("several teachers", () => {
  let pair: RolloutPair;
  const servers: LiveServer[] = [];
  const teachers = new Map<string | undefined, TeacherClient>();
  let runner: ModelRunner;

  before(async () => {
    pair = await makeRolloutPair();
    for (const [name, model] of [
      [undefined, pair.teacherDir],
      ["small", pair.studentDir],
    ] as const) {
      const server = await startLiveServer({ model });
      servers.push(server);
      const addresses = [server.grpcAddress];
      const options = { ...TEACHER_DEFAULTS, maxLogitError: 0, addresses, random: () => 0 };
      teachers.set(name, await TeacherClient.connect(options));
    }
    runner = await ModelRunner.load({ dir: pair.studentDir, threads: 1 });
  });
  after(async () => {
    for (const teacher of teachers.values()) teacher.close();
    await runner?.close();
    for (const server of servers) await server.stop();
    await pair?.remove();
  });

  async function write(config: Record<string, unknown>): Promise<readonly Rollout[]> {
    const source = createRolloutSource({
      config: rolloutSchema.parse({
        rows: 6,
        concurrency: 6,
        maxResponse: 10,
        acceptance: { rank: 3 },
        blockLength: 4,
        ...config,
      }),
      rows: ROWS,
      shuffle: false,
      runSeed: 3,
      stopIds: [PAIR_EOS],
      engine: new StudentEngine(runner),
      teachers,
    });
    const { rollouts } = await source.next({
      spec: OWN,
      studentTopK: 2,
      named: { small: { spec: NAMED, studentTopK: 2 } },
      progress: 0,
      abort: new AbortController().signal,
    });
    return rollouts;
  }

  /** What a teacher says of a finished text when it alone is asked. */
  async function scored(rollout: Rollout, name: string | undefined, signal: SignalSpec) {
    const answer = await teachers.get(name)!.score({
      tokens: joinTokens(rollout),
      from: rollout.prompt.length,
      signal,
      atIds: rollout.atIds!,
      atOffsets: Uint32Array.from({ length: rollout.response.length + 1 }, (_, r) => 2 * r),
    });
    return answer.signal;
  }

  for (const config of [
    { kind: "skd" },
    { kind: "skd", teacher: "small" },
    { kind: "sequence" },
    { kind: "sequence", teacher: "small" },
    { kind: "on-policy" },
  ]) {
    it(`each give their signal of the same tokens: ${Object.values(config).join(" by ")}`, async () => {
      for (const rollout of await write(config)) {
        assert.equal(rollout.teacher, ROWS[rollout.row]?.teacher);
        assert.deepEqual(rollout.signal, await scored(rollout, rollout.teacher, OWN));
        assert.deepEqual(rollout.signals?.small, await scored(rollout, "small", NAMED));
      }
    });
  }

  it("write the rows that are theirs", async () => {
    const small = await write({ kind: "sequence", teacher: "small" });
    const tagged = await write({ kind: "sequence" });
    const texts = (rollouts: readonly Rollout[]) => rollouts.map(({ response }) => [...response]);
    for (const [row, text] of texts(tagged).entries()) {
      if (row % 2 === 1) assert.deepEqual(text, texts(small)[row]);
    }
    assert.notDeepEqual(texts(tagged), texts(small));
    assert.ok(tagged.every(({ authors }) => authors.every((who) => who === AUTHOR.teacher)));
  });
});
