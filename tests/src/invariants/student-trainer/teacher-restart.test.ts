import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { trainRun, type RolloutTeacher } from "@tandem/student-trainer/cli/train-run.js";
import { loadRunConfig } from "@tandem/student-trainer/config/load-run-config.js";
import { deterministicPart, readRunLog } from "@tandem/student-trainer/training/run-log.js";

import { startLiveServer, type LiveServer } from "../../helpers/live-server.js";
import { makeRolloutPair, type RolloutPair } from "../../helpers/rollout-pair.js";
import { watchTeacher } from "../../helpers/rollout-watch.js";

/** Number of the draft (over the whole run) at whose sending the teacher is killed: in the middle of batches. */
const KILL_AT: ReadonlySet<number> = new Set([9, 55, 120]);

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

  async function run(name: string, wrapTeacher?: (teacher: RolloutTeacher) => RolloutTeacher) {
    const runDir = join(pair.dir, name);
    const config = loadRunConfig({
      assignments: [
        `student.model=${pair.studentDir}`,
        `teacher.address=${address}`,
        "teacher.retryTimeoutMs=60000",
        `data.train=${pair.dataFile}`,
        "rollout={kind: skd, rows: 8, concurrency: 6, maxResponse: 16, blockLength: 3, draftAhead: 1}",
        "rollout.acceptance={rank: 3}",
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

  it("changes neither the tokens nor the bits of the loss curve", async () => {
    const undisturbed = await run("undisturbed");
    const inFlight: number[] = [];
    const disturbed = await run("disturbed", (teacher) => {
      const watched = watchTeacher(teacher, (counts) => {
        if (!KILL_AT.has(counts.drafts)) return;
        inFlight.push(counts.unanswered);
        restart();
      });
      return { ...bind(teacher), openSequence: watched.teacher.openSequence };
    });
    assert.equal(inFlight.length, KILL_AT.size, "the run was long enough for every kill");
    assert.ok(inFlight.every((count) => count > 0));
    assert.deepEqual(disturbed.texts, undisturbed.texts);
    assert.deepEqual(disturbed.records, undisturbed.records);
  });
});

function bind(teacher: RolloutTeacher): RolloutTeacher {
  return {
    score: (question) => teacher.score(question),
    generate: (order) => teacher.generate(order),
    openSequence: (request) => teacher.openSequence(request),
  };
}
