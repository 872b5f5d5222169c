import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { trainRun } from "@tandem/student-trainer/cli/train-run.js";
import { loadRunConfig } from "@tandem/student-trainer/config/load-run-config.js";
import type { RolloutTeacher } from "@tandem/student-trainer/rollout/teacher-pool.js";
import { readRunLog } from "@tandem/student-trainer/training/run-log.js";

import { deterministicPart } from "../../helpers/deterministic-part.js";
import { startLiveServer, type LiveServer } from "../../helpers/live-server.js";
import { makeRolloutPair, type RolloutPair } from "../../helpers/rollout-pair.js";
import { watchTeacher } from "../../helpers/rollout-watch.js";

const ROUNDS = 3;
/** In the middle of the second batch of an undisturbed run, whose drafts are some eighty a batch. */
const LOST_AT = 100;

type Mode = "wait" | "skip" | "cached";

describe(
  "a run whose teacher is away for longer than it is waited for",
  { timeout: 300_000 },
  () => {
    let pair: RolloutPair;
    let server: LiveServer;
    let port = "";

    before(async () => {
      pair = await makeRolloutPair();
      server = await startLiveServer({ model: pair.teacherDir });
      port = server.grpcAddress.slice(server.grpcAddress.lastIndexOf(":") + 1);
    });
    after(async () => {
      await server?.stop();
      await pair?.remove();
    });

    async function back(): Promise<void> {
      await server.exited;
      server.client.close();
      server = await startLiveServer({ model: pair.teacherDir, args: ["--port", port] });
    }

    interface Order {
      readonly name: string;
      readonly mode: Mode;
      readonly resume?: boolean;
      /** Kill the teacher when this draft has been sent; it comes back when the run has noticed. */
      readonly lostAt?: number;
    }

    async function run({ name, mode, resume = false, lostAt = Infinity }: Order) {
      const runDir = join(pair.dir, name);
      const config = loadRunConfig({
        assignments: [
          `student.model=${pair.studentDir}`,
          `teacher.address=127.0.0.1:${port}`,
          `teacher.retryTimeoutMs=${lostAt === Infinity ? 60_000 : 3_000}`,
          `data.train=${pair.dataFile}`,
          "rollout={kind: skd, rows: 8, concurrency: 6, maxResponse: 16, blockLength: 3}",
          "rollout.acceptance={rank: 3}",
          `rollout.onTeacherLoss=${mode}`,
          "losses=[{name: forward-kl, topK: 6}]",
          "optimizer.learningRate=0.01",
          `training={rounds: ${ROUNDS}, minibatchSize: 4, threads: 1, seed: 3, checkpointEvery: 1}`,
          `output.dir=${runDir}`,
        ],
      });
      const notes: string[] = [];
      let asked = 0;
      let comeback: Promise<void> | undefined;
      const wrapTeacher = (teacher: RolloutTeacher): RolloutTeacher => ({
        score: (question) => teacher.score(question),
        generate: (order) => teacher.generate(order),
        openSequence: (request) =>
          watchTeacher(teacher, () => {
            if (++asked === lostAt) server.process.kill("SIGKILL");
          }).teacher.openSequence(request),
      });
      try {
        await trainRun({
          config,
          resume,
          abort: new AbortController().signal,
          note: (text) => {
            notes.push(text);
            if (text.startsWith("teacher lost")) comeback ??= back();
          },
          onStep: () => undefined,
          wrapTeacher,
        });
      } finally {
        await comeback;
      }
      const records = await readRunLog(join(runDir, "metrics.jsonl"));
      return { notes, records: records.map(deterministicPart) };
    }

    const lost = (notes: readonly string[]) =>
      notes.filter((note) => note.startsWith("teacher lost"));

    it("wait: ends saved, and goes on to the same bits when it is resumed", async () => {
      const undisturbed = await run({ name: "calm", mode: "wait" });
      await assert.rejects(run({ name: "wait", mode: "wait", lostAt: LOST_AT }), {
        code: "UNAVAILABLE",
        message: /teacher\.retryTimeoutMs/,
      });
      await back();
      const resumed = await run({ name: "wait", mode: "wait", resume: true });
      assert.deepEqual(resumed.records, undisturbed.records);
    });

    it("skip: leaves batches out, says so, and trains on the others", async () => {
      const { notes, records } = await run({ name: "skip", mode: "skip", lostAt: LOST_AT });
      assert.ok(lost(notes).length > 0);
      assert.ok(lost(notes).every((note) => note === "teacher lost: a batch is left out"));
      assert.ok(records.length > 0);
    });

    it("cached: trains on batches it has, says which, and goes on with new ones", async () => {
      const { notes, records } = await run({ name: "cached", mode: "cached", lostAt: LOST_AT });
      assert.ok(lost(notes).length > 0);
      for (const note of lost(notes))
        assert.match(note, /^teacher lost: batch \d is trained on again$/);
      // Two minibatches a round, whoever wrote them.
      assert.equal(records.length, 2 * ROUNDS);
    });
  },
);
