import { describe, it } from "node:test";
import { initFromScratch } from "@tandem/student-trainer/checkpoint/init-student.js";
import { LossSet, lossesSchema } from "@tandem/student-trainer/losses/loss-set.js";
import { optimizerSchema } from "@tandem/student-trainer/optim/optimizer-config.js";
import type { Rollout } from "@tandem/student-trainer/rollout/rollout.js";
import { TrainStep } from "@tandem/student-trainer/training/train-step.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { TINY_LLAMA, WeightedText } from "./fixture-run.js";
import { withSyntheticSignal } from "./synthetic-signal.js";

const STEPS = 4;

/** The curve of a few steps over minibatches of six rows of different lengths. */
async function curve(
  microBatchSize: number | null,
  losses: object[],
  reduction: "token" | "sequence",
) {
  const model = initFromScratch(TINY_LLAMA, 7);
  const step = new TrainStep({
    model,
    vocabulary: TINY_LLAMA.vocabSize,
    losses: new LossSet(lossesSchema.parse(losses)),
    optimizer: optimizerSchema.parse({ learningRate: 0.003, schedule: "constant" }),
    reduction,
    microBatchSize,
    totalSteps: STEPS,
    threads: 1,
  });
  const source = new WeightedText();
  const values: number[] = [];
  for (let index = 0; index < STEPS; index++) {
    const { rollouts } = await source.next();
    const { loss, gradNorm } = await step.run(rollouts.map(withSyntheticSignal), index);
    values.push(loss, gradNorm);
  }
  await step.close();
  return { values, model };
}

const LOSSES = [
  { name: "forward-kl", topK: 4, temperature: 2 },
  { name: "cross-entropy", weight: 0.3 },
];

// Sums in another order: the last places of f32, carried through four updates.
const TOLERANCE = { rtol: 1e-4, atol: 1e-6 };

describe("gradient accumulation equals the large batch", () => {
  for (const reduction of ["token", "sequence"] as const) {
    for (const microBatchSize of [1, 2, 4]) {
      it(`${reduction} mean, microbatches of ${microBatchSize}`, async () => {
        const whole = await curve(null, LOSSES, reduction);
        const parts = await curve(microBatchSize, LOSSES, reduction);
        assertAllClose(parts.values, whole.values, TOLERANCE);
        for (const [name, values] of whole.model.weights) {
          assertAllClose(parts.model.weights.get(name)!, values, TOLERANCE, name);
        }
      });
    }
  }
});

describe("a minibatch's order", () => {
  it("does not matter", async () => {
    const run = async (arrange: (rows: readonly Rollout[]) => readonly Rollout[]) => {
      const model = initFromScratch(TINY_LLAMA, 7);
      const step = new TrainStep({
        model,
        vocabulary: TINY_LLAMA.vocabSize,
        losses: new LossSet(lossesSchema.parse(LOSSES)),
        optimizer: optimizerSchema.parse({ learningRate: 0.003 }),
        reduction: "token",
        microBatchSize: null,
        totalSteps: 2,
        threads: 1,
      });
      const { rollouts } = await new WeightedText().next();
      const { loss, gradNorm } = await step.run(arrange(rollouts.map(withSyntheticSignal)), 0);
      await step.close();
      return [loss, gradNorm];
    };
    assertAllClose(await run((rows) => rows.toReversed()), await run((rows) => rows), {
      rtol: 1e-5,
      atol: 0,
    });
  });
});
