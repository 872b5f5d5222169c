import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { loadLatestCheckpoint } from "@tandem/student-trainer/checkpoint/load-checkpoint.js";
import { LossSet, lossesSchema } from "@tandem/student-trainer/losses/loss-set.js";
import { TrainStep } from "@tandem/student-trainer/training/train-step.js";
import { initFromScratch } from "@tandem/student-trainer/checkpoint/init-student.js";
import { saveCheckpoint } from "@tandem/student-trainer/checkpoint/save-checkpoint.js";
import { optimizerSchema } from "@tandem/student-trainer/optim/optimizer-config.js";
import { AUTHOR, type Rollout } from "@tandem/student-trainer/rollout/rollout.js";
import { randomLogits } from "../../oracle/losses/method-rows.js";
import { temporaryRun, TINY_LLAMA } from "./fixture-run.js";

const vocabulary = TINY_LLAMA.vocabSize;
const response = Uint32Array.of(3, 5, 7, 2, 11);
const rollout: Rollout = {
  row: 0,
  sample: 0,
  epoch: 0,
  prompt: Uint32Array.of(4, 9),
  response,
  authors: new Uint8Array(response.length).fill(AUTHOR.data),
  finish: "length",
  signal: {
    from: 2,
    count: response.length,
    topK: 0,
    tauCount: 0,
    dense: randomLogits(41, response.length * vocabulary, 2),
  },
  stats: { judged: 0, accepted: 0, replaced: 0, computedPositions: 0 },
};

function makeStep(reversal: number) {
  const model = initFromScratch(TINY_LLAMA, 7);
  const config = [{ name: "cross-entropy" }, { name: "ctkd", initial: 0.5, range: 4, reversal }];
  const step = new TrainStep({
    model,
    vocabulary,
    losses: new LossSet(lossesSchema.parse(config)),
    optimizer: optimizerSchema.parse({ learningRate: 0.01, warmupSteps: 0, weightDecay: 0.5 }),
    reduction: "token",
    microBatchSize: null,
    totalSteps: 20,
    threads: 1,
  });
  return { model, step };
}

async function thetaOf(step: TrainStep): Promise<number> {
  const { lossParameters } = await step.readOptimizer();
  assert.deepEqual(
    lossParameters.map(({ name }) => name),
    ["losses.1.theta"],
  );
  return lossParameters[0]!.values[0]!;
}

describe("a parameter that a loss owns", () => {
  let dir: string;
  before(async () => {
    dir = await temporaryRun();
  });
  after(() => rm(dir, { recursive: true, force: true }));

  it("is trained with the student, and against it where its gradient is reversed", async () => {
    const [along, against] = [makeStep(1).step, makeStep(-1).step];
    await along.run([rollout], 0);
    await against.run([rollout], 0);
    // Adam's first step is the learning rate, whatever the gradient; no decay: from 0.5 to one side or the other.
    const moved = [(await thetaOf(along)) - 0.5, (await thetaOf(against)) - 0.5];
    assert.ok(Math.abs(Math.abs(moved[0]!) - 0.01) < 1e-5, `${moved[0]}`);
    assert.ok(Math.abs(moved[0]! + moved[1]!) < 1e-5, `${moved[1]}`);
    await along.close();
    await against.close();
  });

  it("is continued from a checkpoint bit by bit", async () => {
    const { model, step } = makeStep(-1);
    for (let at = 0; at < 3; at++) await step.run([rollout], at);
    const { updates, moments, lossParameters } = await step.readOptimizer();
    await saveCheckpoint({
      dir: join(dir, "checkpoints"),
      keep: 1,
      model,
      lossParameters,
      moments,
      batches: [],
      state: {
        version: 1,
        step: 3,
        round: 0,
        stepInRound: 0,
        updates,
        configDigest: "digest",
        metricsBytes: 0,
        source: null,
      },
    });
    const saved = await loadLatestCheckpoint(join(dir, "checkpoints"));
    const resumed = makeStep(-1);
    for (const [name, values] of resumed.model.weights) values.set(saved.model.weights.get(name)!);
    await resumed.step.restoreOptimizer({
      updates: saved.state.updates,
      moments: saved.moments,
      lossParameters: saved.lossParameters ?? [],
    });
    assert.deepEqual(await resumed.step.run([rollout], 3), await step.run([rollout], 3));
    assert.equal(await thetaOf(resumed.step), await thetaOf(step));
    await resumed.step.close();
    await step.close();
  });
});
