import { describe, it } from "node:test";
import { loadStudent } from "@tandem/student-trainer/checkpoint/load-student.js";
import { LossSet, lossesSchema } from "@tandem/student-trainer/losses/loss-set.js";
import { optimizerSchema } from "@tandem/student-trainer/optim/optimizer-config.js";
import { TrainStep } from "@tandem/student-trainer/training/train-step.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { readTensors, TINY_VOCABULARY, tinyModelDir } from "../../helpers/tiny-models.js";
import { fixturePath, readFixtureJson, toRollout, type TokenRow } from "./training-fixture.js";

interface Steps {
  readonly batches: readonly (readonly TokenRow[])[];
  readonly curve: readonly {
    readonly loss: number;
    readonly gradNorm: number;
    readonly learningRate: number;
  }[];
}

// Both sides are f32. A difference in the last place of a gradient moves Adam's first updates by up to lr·1e-7/|g|;
// over twenty steps of 3e-3 that stays below 1e-5 in weights of size 0.1 and below 1e-5 in the loss.
const CURVE = { rtol: 2e-5, atol: 0 };
const WEIGHTS = { rtol: 1e-4, atol: 2e-5 };

describe("twenty steps", () => {
  it("equal torch.optim.AdamW with clipping, warm-up and cosine schedule", async () => {
    const { batches, curve } = await readFixtureJson<Steps>("steps.json");
    const model = await loadStudent(tinyModelDir("llama-tied"));
    const step = new TrainStep({
      model,
      vocabulary: TINY_VOCABULARY,
      losses: new LossSet(lossesSchema.parse([{ name: "cross-entropy" }])),
      optimizer: optimizerSchema.parse({
        learningRate: 3e-3,
        schedule: "cosine",
        warmupSteps: 5,
        beta2: 0.98,
        weightDecay: 0.1,
        clipNorm: 0.5,
      }),
      reduction: "token",
      microBatchSize: 2,
      totalSteps: curve.length,
      threads: 1,
    });
    const results = [];
    for (const index of curve.keys()) {
      results.push(await step.run(batches[index % batches.length]!.map(toRollout), index));
    }
    await step.close();
    for (const field of ["learningRate", "loss", "gradNorm"] as const) {
      assertAllClose(
        results.map((result) => result[field]),
        curve.map((expected) => expected[field]),
        CURVE,
        field,
      );
    }
    for (const [name, expected] of await readTensors(fixturePath("steps.safetensors"))) {
      assertAllClose(model.weights.get(name)!, expected, WEIGHTS, name);
    }
  });
});
