import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { listLosses } from "@tandem/student-trainer";
import { initFromScratch } from "@tandem/student-trainer/checkpoint/init-student.js";
import { LossSet, lossesSchema } from "@tandem/student-trainer/losses/loss-set.js";
import { optimizerSchema } from "@tandem/student-trainer/optim/optimizer-config.js";
import { AUTHOR, type Rollout } from "@tandem/student-trainer/rollout/rollout.js";
import { TrainStep } from "@tandem/student-trainer/training/train-step.js";
import { bestIds, logSumExp, signalOfLogits } from "../../helpers/signal-of-logits.js";
import { TINY_LLAMA } from "../../invariants/training/fixture-run.js";
import { randomLogits, seeded, SIZES, statesOf } from "../../oracle/losses/method-rows.js";

const vocabulary = TINY_LLAMA.vocabSize;
const STEPS = 12;

/** The teacher is a bigram table; so is the student that wrote the text, whose best ids are sent. */
const teacher = randomLogits(31, vocabulary * vocabulary, 1.5);
const writer = randomLogits(32, vocabulary * vocabulary, 1.5);
const after = (table: Float32Array, token: number): number[] =>
  Array.from(table.subarray(token * vocabulary, (token + 1) * vocabulary));

function makeRollouts(losses: LossSet): readonly Rollout[] {
  const random = seeded(33);
  const token = () => Math.floor(random() * vocabulary);
  return Array.from({ length: 4 }, (_, row): Rollout => {
    const prompt = Uint32Array.of(token(), token());
    const response = Uint32Array.from({ length: 5 + row }, token);
    const before = [prompt[1]!, ...response.subarray(0, -1)];
    const lawOf = (table: Float32Array) => before.flatMap((previous) => after(table, previous));
    const { signal, atIds } = signalOfLogits(
      {
        vocabulary,
        teacher: lawOf(teacher),
        student: lawOf(writer),
        targets: response,
        hidden: (layer) => statesOf("teacher", layer, response.length, 20 * row),
        draws: before.map((previous) => {
          const [a, b] = bestIds(after(teacher, previous), 2) as [number, number];
          return [
            { id: Math.min(a, b), count: 2 },
            { id: Math.max(a, b), count: 1 },
          ];
        }),
      },
      losses.requirement(0),
    );
    return {
      row,
      sample: 0,
      epoch: 0,
      prompt,
      response,
      authors: new Uint8Array(response.length).fill(AUTHOR.student),
      finish: "length",
      signal: { ...signal, from: prompt.length },
      ...(atIds && { atIds }),
      oldLogProbs: Float32Array.from(response, (id, at) => {
        const v = after(writer, before[at]!);
        return v[id]! - logSumExp(v);
      }),
      stats: { judged: 0, accepted: 0, replaced: 0, computedPositions: 0 },
    };
  });
}

async function train(losses: LossSet, microBatchSize: number | null) {
  const rollouts = makeRollouts(losses);
  const step = new TrainStep({
    model: initFromScratch(TINY_LLAMA, 7),
    vocabulary,
    losses,
    optimizer: optimizerSchema.parse({ learningRate: 0.02, warmupSteps: 0, schedule: "constant" }),
    reduction: "token",
    microBatchSize,
    totalSteps: STEPS,
    threads: 1,
  });
  try {
    const results = [];
    for (let at = 0; at < STEPS; at++) results.push(await step.run(rollouts, at));
    return results;
  } finally {
    await step.close();
  }
}

describe("a training run", () => {
  for (const { name, options } of listLosses()) {
    it(`lowers ${name}, in microbatches as at once`, async () => {
      const has = (option: string) => options.some((own) => own.name === option);
      const config = {
        name,
        ...(has("topK") && { topK: 5 }),
        ...(has("k") && !has("support") && { k: 3 }),
        ...(has("rank") && { rank: 8 }),
        ...(has("features") && { features: 4 }),
        // Constant schedules, so that values of different steps are comparable.
        ...(has("phi") && { phi: 0.7, psi: 0.3 }),
        // θ would raise the loss.
        ...(has("reversal") && { reversal: 0, initial: 0 }),
      };
      const losses = new LossSet(lossesSchema.parse([config]), { ...SIZES, vocabulary });
      const [whole, cut] = [await train(losses, null), await train(losses, 1)];
      for (const { loss, gradNorm } of [...whole, ...cut]) {
        assert.ok(Number.isFinite(loss) && Number.isFinite(gradNorm));
      }
      // The policy gradient drives the estimate to 0 from either side on text that does not change.
      const size = ({ loss }: { readonly loss: number }) =>
        name === "sampled-reverse-kl" ? Math.abs(loss) : loss;
      assert.ok(size(whole.at(-1)!) < 0.97 * size(whole[0]!), `${whole.map(size).join()}`);
      const gap = Math.abs(cut[0]!.loss - whole[0]!.loss);
      assert.ok(gap <= 1e-5 * (1 + Math.abs(whole[0]!.loss)), `first step differs by ${gap}`);
    });
  }
});
