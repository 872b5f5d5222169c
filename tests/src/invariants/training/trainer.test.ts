import assert from "node:assert/strict";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { readRunLog, type StepRecord } from "@tandem/student-trainer/training/run-log.js";
import { runTiny, temporaryRun } from "./fixture-run.js";

let runDir = "";
beforeEach(async () => {
  runDir = await temporaryRun();
});
afterEach(async () => rm(runDir, { recursive: true, force: true }));

async function stepsOf(dir: string): Promise<readonly StepRecord[]> {
  const records = await readRunLog(join(dir, "metrics.jsonl"));
  return records.filter((record): record is StepRecord => record.kind === "step");
}

describe("a run", () => {
  it("uses each batch numIterations times, in minibatches, every sequence once per pass", async () => {
    await runTiny({ runDir });
    const steps = await stepsOf(runDir);
    assert.deepEqual(
      steps.slice(0, 8).map(({ step, round, iteration }) => [step, round, iteration]),
      [
        [1, 0, 0],
        [2, 0, 0],
        [3, 0, 1],
        [4, 0, 1],
        [5, 1, 0],
        [6, 1, 0],
        [7, 1, 1],
        [8, 1, 1],
      ],
    );
    assert.equal(steps.length, 16);
    // Two passes over the same sequences have the same tokens, cut differently.
    for (let round = 0; round < 4; round++) {
      const [a, b, c, d] = steps.slice(4 * round).map(({ tokens }) => tokens);
      assert.equal(a! + b!, c! + d!);
    }
  });

  it("learns", async () => {
    // The text is random over 13 tokens but each batch is used many times.
    await runTiny({ runDir, training: { rounds: 1, numIterations: 20 } });
    const steps = await stepsOf(runDir);
    assert.ok(
      steps.at(-1)!.loss < 0.7 * steps[0]!.loss,
      `${steps[0]!.loss} → ${steps.at(-1)!.loss}`,
    );
  });

  it("evaluates first, every so often, and last", async () => {
    await runTiny({ runDir });
    const records = await readRunLog(join(runDir, "metrics.jsonl"));
    const at = records.flatMap((record) => (record.kind === "evaluation" ? [record.step] : []));
    assert.deepEqual(at, [0, 3, 6, 9, 12, 15, 16]);
  });

  it("keeps the newest checkpoints", async () => {
    const { checkpoint } = await runTiny({
      runDir,
      training: { checkpointEvery: 5, keepCheckpoints: 2 },
    });
    assert.deepEqual((await readdir(join(runDir, "checkpoints"))).sort(), [
      "step-000015",
      "step-000016",
    ]);
    assert.equal(checkpoint, join(runDir, "checkpoints", "step-000016"));
  });

  it("ends in the middle of a batch when its steps are counted", async () => {
    await runTiny({ runDir, training: { rounds: undefined, steps: 6 } });
    assert.equal((await stepsOf(runDir)).length, 6);
  });

  it("does not overwrite another", async () => {
    await runTiny({ runDir });
    await assert.rejects(runTiny({ runDir }), {
      code: "ALREADY_EXISTS",
      message: /resume it or choose/,
    });
  });

  it("does not go on under another configuration", async () => {
    await runTiny({ runDir, abortAfter: 2 });
    await assert.rejects(runTiny({ runDir, resume: true, configDigest: "other" }), {
      code: "FAILED_PRECONDITION",
      message: /made with another configuration \(digest, now other\)/,
    });
  });

  it("stops when the loss is no longer a number, and keeps its last checkpoint", async () => {
    await assert.rejects(runTiny({ runDir, learningRate: 1e30 }), {
      code: "FAILED_PRECONDITION",
      message: /lower the learning rate or resume from a checkpoint/,
    });
    assert.ok((await readdir(join(runDir, "checkpoints"))).length > 0);
  });

  it("is saved when its source fails for good, and can go on from there", async () => {
    const whole = await temporaryRun();
    await runTiny({ runDir: whole });
    await assert.rejects(
      runTiny({ runDir, failBatch: 2, training: { checkpointEvery: 100 } }),
      /no batch 2/,
    );
    await runTiny({ runDir, resume: true, training: { checkpointEvery: 100 } });
    assert.deepEqual(
      (await stepsOf(runDir)).map(({ loss }) => loss),
      (await stepsOf(whole)).map(({ loss }) => loss),
    );
    await rm(whole, { recursive: true, force: true });
  });
});
