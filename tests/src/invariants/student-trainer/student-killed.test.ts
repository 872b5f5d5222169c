import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { readRunLog } from "@tandem/student-trainer/training/run-log.js";
import { deterministicPart } from "../../helpers/deterministic-part.js";

import { startLiveServer, type LiveServer } from "../../helpers/live-server.js";
import { runTrainer, startTrainer } from "../../helpers/rollout-cli.js";
import { makeRolloutPair, type RolloutPair } from "../../helpers/rollout-pair.js";

describe("a student that is killed and resumed", () => {
  let pair: RolloutPair;
  let server: LiveServer;

  before(async () => {
    pair = await makeRolloutPair();
    server = await startLiveServer({ model: pair.teacherDir });
  });
  after(async () => {
    await server?.stop();
    await pair?.remove();
  });

  function argsFor(name: string, staleness: number): string[] {
    const assignments = [
      `student.model=${pair.studentDir}`,
      `teacher.address=${server.grpcAddress}`,
      `data.train=${pair.dataFile}`,
      `data.evaluation=${pair.dataFile}`,
      "rollout={kind: skd, rows: 8, concurrency: 6, maxResponse: 14, blockLength: 4}",
      "rollout.acceptance={rank: 3}",
      "losses=[{name: forward-kl, topK: 6}]",
      "optimizer={learningRate: 0.01, warmupSteps: 3}",
      `training={rounds: 7, numIterations: 2, minibatchSize: 4, threads: 1, seed: 3, checkpointEvery: 3, evaluateEvery: 5, staleness: ${staleness}}`,
      "evaluation.rows=6",
      `output.dir=${join(pair.dir, name)}`,
    ];
    return ["train", ...assignments.flatMap((assignment) => ["--set", assignment])];
  }

  async function readRun(name: string) {
    const dir = join(pair.dir, name);
    const records = await readRunLog(join(dir, "metrics.jsonl"));
    const checkpoints = await readdir(join(dir, "checkpoints"));
    const last = join(dir, "checkpoints", checkpoints.sort().at(-1) ?? "");
    return {
      records: records.map(deterministicPart),
      samples: await readFile(join(dir, "rollouts.jsonl"), "utf8"),
      weights: await readFile(join(last, "model.safetensors")),
    };
  }

  /** Kills the program as soon as its log has a step, wherever it stands then. */
  async function killAfter(args: readonly string[], runDir: string, step: number): Promise<void> {
    const run = startTrainer(args);
    const log = join(runDir, "metrics.jsonl");
    for (;;) {
      const text = await readFile(log, "utf8").catch(() => "");
      if (text.includes(`"step":${step},`)) break;
      assert.equal(run.process.exitCode, null, "the run is still going");
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    run.process.kill("SIGKILL");
    assert.equal((await run.done).code, null);
  }

  for (const staleness of [0, 1]) {
    it(`goes on to the same tokens, loss bits and weights, staleness ${staleness}`, async () => {
      const whole = `whole-${staleness}`;
      const killed = `killed-${staleness}`;
      const undisturbed = await runTrainer(...argsFor(whole, staleness));
      assert.equal(undisturbed.code, 0, undisturbed.stderr);
      const args = argsFor(killed, staleness);
      await killAfter(args, join(pair.dir, killed), 5);
      await killAfter([...args, "--resume"], join(pair.dir, killed), 16);
      const resumed = await runTrainer(...args, "--resume");
      assert.equal(resumed.code, 0, resumed.stderr);
      const expected = await readRun(whole);
      const actual = await readRun(killed);
      assert.deepEqual(actual.records, expected.records);
      assert.equal(actual.samples, expected.samples);
      assert.ok(actual.weights.equals(expected.weights), "final weights");
    });
  }
});
