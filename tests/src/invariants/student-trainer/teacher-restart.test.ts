import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import type { RolloutTeacher } from "@tandem/student-trainer/rollout/teacher-pool.js";
import { trainRun } from "@tandem/student-trainer/cli/train-run.js";
import { loadRunConfig } from "@tandem/student-trainer/config/load-run-config.js";
import { readRunLog } from "@tandem/student-trainer/training/run-log.js";
import { deterministicPart } from "../../helpers/deterministic-part.js";

import { startLiveServer, type LiveServer } from "../../helpers/live-server.js";
import { makeRolloutPair, type RolloutPair } from "../../helpers/rollout-pair.js";
import { watchTeacher } from "../../helpers/rollout-watch.js";

/** Number of the draft, score or order to write (over the whole run) at whose sending the teacher is killed: in the middle of batches. */
const KILL_AT: Readonly<Record<string, ReadonlySet<number>>> = {
  skd: new Set([9, 55, 120]),
  "on-policy": new Set([5, 17, 30]),
  sequence: new Set([1, 3, 4]),
};

describe("a teacher that is killed and started again", () => {
  let pair: RolloutPair;
  let server: LiveServer;
  let address = "";

  before(async () => {
    pair = await makeRolloutPair();
    server = await startLiveServer({ model: pair.teacherDir });
    address = server.grpcAddress;
  });
  after(async () => {
    await server?.stop();
    await pair?.remove();
  });

  async function run(
    name: string,
    kind: string,
    wrapTeacher?: (teacher: RolloutTeacher) => RolloutTeacher,
  ) {
    const runDir = join(pair.dir, name);
    const config = loadRunConfig({
      assignments: [
        `student.model=${pair.studentDir}`,
        `teacher.address=${address}`,
        "teacher.retryTimeoutMs=60000",
        `data.train=${pair.dataFile}`,
        "rollout={kind: skd, rows: 8, concurrency: 6, maxResponse: 16, blockLength: 3, draftAhead: 1}",
        "rollout.acceptance={rank: 3}",
        `rollout.kind=${kind}`,
        "losses=[{name: forward-kl, topK: 6}]",
        "optimizer.learningRate=0.01",
        "training={rounds: 5, minibatchSize: 4, threads: 1, seed: 3}",
        "output={dir: x, samples: 8}",
        `output.dir=${runDir}`,
      ],
    });
    const result = await trainRun({
      config,
      resume: false,
      abort: new AbortController().signal,
      note: () => undefined,
      onStep: () => undefined,
      ...(wrapTeacher === undefined ? {} : { wrapTeacher }),
    });
    assert.equal(result.interrupted, false);
    const records = await readRunLog(join(runDir, "metrics.jsonl"));
    const texts = (await readFile(join(runDir, "rollouts.jsonl"), "utf8")).split("\n");
    return { records: records.map(deterministicPart), texts };
  }

  /** Dead in an instant, as by kill -9, and up again a moment later on the same port. */
  function restart(): void {
    server.process.kill("SIGKILL");
    const port = address.slice(address.lastIndexOf(":") + 1);
    void server.exited
      .then(() => startLiveServer({ model: pair.teacherDir, args: ["--port", port] }))
      .then((next) => {
        server.client.close();
        server = next;
      });
  }

  for (const [kind, killAt] of Object.entries(KILL_AT)) {
    it(`changes neither the tokens nor the bits of the loss curve: ${kind}`, async () => {
      const undisturbed = await run(`${kind}-undisturbed`, kind);
      let asked = 0;
      let kills = 0;
      const disturbed = await run(`${kind}-disturbed`, kind, (teacher) =>
        onQuestion(teacher, () => {
          if (!killAt.has(++asked)) return;
          kills++;
          restart();
        }),
      );
      assert.equal(kills, killAt.size, "the run was long enough for every kill");
      assert.deepEqual(disturbed.texts, undisturbed.texts);
      assert.deepEqual(disturbed.records, undisturbed.records);
    });
  }
});

/** Tells of every question when it has been sent and is unanswered. */
function onQuestion(teacher: RolloutTeacher, sent: () => void): RolloutTeacher {
  const watched = watchTeacher(teacher, sent);
  const tell = <T>(answer: T): T => {
    sent();
    return answer;
  };
  return {
    score: (question) => tell(teacher.score(question)),
    generate: (order) => {
      // A little later, when the teacher is writing.
      setTimeout(sent, 25);
      return teacher.generate(order);
    },
    openSequence: (request) => watched.teacher.openSequence(request),
  };
}
