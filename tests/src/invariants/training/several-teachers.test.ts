import { describe, it } from "node:test";

import { initFromScratch } from "@tandem/student-trainer/checkpoint/init-student.js";
import { LossSet, lossesSchema } from "@tandem/student-trainer/losses/loss-set.js";
import { optimizerSchema } from "@tandem/student-trainer/optim/optimizer-config.js";
import type { Rollout } from "@tandem/student-trainer/rollout/rollout.js";
import { TrainStep } from "@tandem/student-trainer/training/train-step.js";

import { assertAllClose } from "../../helpers/all-close.js";
import { TINY_LLAMA, WeightedText } from "./fixture-run.js";
import { withSyntheticSignal } from "./synthetic-signal.js";

/** Losses and gradient norm of one step; the rollouts have the signals of the row's teacher and of "a" and "b", all different. */
async function step(losses: object[], arrange = (rollout: Rollout) => rollout) {
  const { rollouts } = await new WeightedText().next();
  const runner = new TrainStep({
    model: initFromScratch(TINY_LLAMA, 7),
    vocabulary: TINY_LLAMA.vocabSize,
    losses: new LossSet(lossesSchema.parse(losses)),
    optimizer: optimizerSchema.parse({ learningRate: 0.003, schedule: "constant" }),
    reduction: "token",
    microBatchSize: 4,
    totalSteps: 1,
    threads: 1,
  });
  const signalAs = (rollout: Rollout, row: number) =>
    withSyntheticSignal({ ...rollout, row: rollout.row + row }).signal!;
  const taught = rollouts.map((rollout) =>
    arrange({
      ...rollout,
      signal: signalAs(rollout, 0),
      signals: { a: signalAs(rollout, 100), b: signalAs(rollout, 200) },
    }),
  );
  const { loss, losses: parts, gradNorm } = await runner.run(taught, 0);
  await runner.close();
  return { loss, parts: Object.values(parts), gradNorm };
}

const kl = (teacher: string | undefined, weight = 1, temperature = 2) => ({
  name: "forward-kl",
  topK: 4,
  temperature,
  weight,
  ...(teacher !== undefined && { teacher }),
});
const CLOSE = { rtol: 1e-5, atol: 1e-6 };

describe("losses with several teachers", () => {
  it("see the signal of the teacher that they name, in one step", async () => {
    const together = await step([kl(undefined), kl("a", 0.5), kl("b", 2)]);
    const alone = await Promise.all([undefined, "a", "b"].map((name) => step([kl(name)])));
    assertAllClose(
      together.parts,
      alone.map(({ loss }) => loss),
      CLOSE,
    );
  });

  it("that share a name see the same, and a name changes nothing but whose signal it is", async () => {
    const own = await step([kl(undefined)]);
    const named = await step([kl("a", 0.25), kl("a", 0.75)], (rollout) => {
      const { signal, ...rest } = rollout;
      return { ...rest, signals: { a: signal! } };
    });
    assertAllClose([named.loss, named.gradNorm], [own.loss, own.gradNorm], CLOSE);
  });
});
