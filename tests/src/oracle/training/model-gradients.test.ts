import { describe, it } from "node:test";
import { loadStudent } from "@tandem/student-trainer/checkpoint/load-student.js";
import { LossSet, lossesSchema } from "@tandem/student-trainer/losses/loss-set.js";
import { reductionCoefficients } from "@tandem/student-trainer/losses/reduction.js";
import { GradientEngine } from "@tandem/student-trainer/training/gradient-engine.js";
import { packMicrobatch } from "@tandem/student-trainer/training/pack-microbatch.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { readTensors, TINY_VOCABULARY, tinyModelDir } from "../../helpers/tiny-models.js";
import { fixturePath, readFixtureJson, toRollout, type TokenRow } from "./training-fixture.js";

const { models, rows } = await readFixtureJson<{
  readonly models: readonly string[];
  readonly rows: readonly TokenRow[];
}>("gradients.json");

const rollouts = rows.map(toRollout);
const coefficients = reductionCoefficients(
  rollouts.map(({ response }) => new Uint8Array(response.length).fill(1)),
  "token",
);

/** Gradients of the token-mean cross-entropy of all rows: microbatches of `microbatch` rows, logits in chunks of `chunkRows`. */
async function gradientsOf(name: string, microbatch: number, chunkRows: number) {
  const losses = new LossSet(lossesSchema.parse([{ name: "cross-entropy" }]));
  const engine = new GradientEngine({
    model: await loadStudent(tinyModelDir(name)),
    vocabulary: TINY_VOCABULARY,
    losses,
    requirement: losses.requirement(0),
    threads: 1,
  });
  let loss = 0;
  for (let from = 0; from < rows.length; from += microbatch) {
    const sequences = rollouts
      .map((rollout, index) => ({ rollout, coefficients: coefficients[index]! }))
      .slice(from, from + microbatch);
    const packed = packMicrobatch(sequences, {
      vocabulary: TINY_VOCABULARY,
      signalInputs: [],
      positionMultiple: 8,
      chunkRows,
    });
    const numbers = { weights: [1], scalars: [] };
    const sums = await engine.accumulate(packed, numbers, from === 0);
    loss += sums.losses[0]!;
  }
  await engine.close();
  return { loss, gradients: engine.gradients };
}

// f32 against PyTorch's float64 with gradients up to 1: the sums over 26 positions lose a few units in the last place.
const TOLERANCE = { rtol: 2e-4, atol: 2e-6 };

const PLANS = [
  { title: "in one batch", microbatch: 4, chunkRows: 1000 },
  { title: "with logits in four chunks", microbatch: 4, chunkRows: 7 },
  { title: "accumulated row by row", microbatch: 1, chunkRows: 1000 },
  { title: "accumulated in two, in chunks", microbatch: 3, chunkRows: 10 },
];

for (const name of models) {
  describe(`gradients of the whole model ${name} equal PyTorch's`, () => {
    for (const { title, microbatch, chunkRows } of PLANS) {
      it(title, async () => {
        const expected = await readTensors(fixturePath(`gradients-${name}.safetensors`));
        const { loss, gradients } = await gradientsOf(name, microbatch, chunkRows);
        assertAllClose([loss], expected.get("loss")!, { rtol: 1e-6, atol: 0 }, "loss");
        for (const [parameter, gradient] of gradients) {
          assertAllClose(gradient, expected.get(parameter)!, TOLERANCE, parameter);
        }
      });
    }
  });
}
