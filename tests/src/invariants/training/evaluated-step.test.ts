import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { evaluateLoss } from "@tandem/student-trainer";
import { initFromScratch } from "@tandem/student-trainer/checkpoint/init-student.js";
import { LossSet, lossesSchema } from "@tandem/student-trainer/losses/loss-set.js";
import type { TeacherRequirement } from "@tandem/student-trainer/losses/signal-requirement.js";
import { optimizerSchema } from "@tandem/student-trainer/optim/optimizer-config.js";
import { AUTHOR, NO_STATS, type Rollout } from "@tandem/student-trainer/rollout/rollout.js";
import { TrainStep } from "@tandem/student-trainer/training/train-step.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { signalOfLogits } from "../../helpers/signal-of-logits.js";
import { forwardLogits } from "../../oracle/checkpoint/forward-logits.js";
import { randomLogits } from "../../oracle/losses/method-rows.js";
import { TINY_LLAMA } from "./fixture-run.js";

const V = TINY_LLAMA.vocabSize;
const model = () => initFromScratch(TINY_LLAMA, 7);

/** Two responses to each of two prompts, another's and the student's; longest first, as a step arranges them. */
const TEXTS = await Promise.all(
  [6, 5, 4, 3].map(async (length, at) => {
    const prompt = [Uint32Array.of(2, 5, 3), Uint32Array.of(4, 1)][at % 2]!;
    const response = Uint32Array.from({ length }, (_, t) => (7 * at + 5 * t + 1) % V);
    const logits = await forwardLogits(model(), [[...prompt, ...response]]);
    const student = logits.slice((prompt.length - 1) * V, (prompt.length - 1 + length) * V);
    return {
      row: 10 + (at % 2),
      prompt,
      response,
      student,
      author: at < 2 ? "teacher" : "student",
    } as const;
  }),
);

/** What the teacher `seed` says of a text. */
function signalOf(at: number, seed: number, asked: TeacherRequirement) {
  const { response: targets, student, prompt } = TEXTS[at]!;
  const teacher = randomLogits(seed + at, targets.length * V, 2);
  const found = signalOfLogits({ vocabulary: V, teacher, student, targets }, asked);
  return { ...found, signal: { ...found.signal, from: prompt.length } };
}

/** The same of all texts, one behind the other. */
function signalOfAll(seed: number, asked: TeacherRequirement) {
  const teacher = TEXTS.flatMap(({ response }, at) => [
    ...randomLogits(seed + at, response.length * V, 2),
  ]);
  return signalOfLogits({ ...ALL, teacher }, asked);
}

const ALL = {
  vocabulary: V,
  student: Float32Array.from(TEXTS.flatMap(({ student }) => [...student])),
  targets: Uint32Array.from(TEXTS.flatMap(({ response }) => [...response])),
};

async function stepLoss(losses: LossSet): Promise<number> {
  const { named = {}, ...own } = losses.requirement(0);
  const rollouts = TEXTS.map(({ row, prompt, response, author }, at): Rollout => ({
    row,
    sample: 0,
    epoch: 0,
    prompt,
    response,
    authors: new Uint8Array(response.length).fill(AUTHOR[author]),
    finish: "length",
    ...signalOf(at, 80, own),
    signals: Object.fromEntries(
      Object.entries(named).map(([name, asked], index) => [
        name,
        signalOf(at, 90 + 10 * index, asked).signal,
      ]),
    ),
    stats: NO_STATS,
  }));
  const runner = new TrainStep({
    model: model(),
    vocabulary: V,
    losses,
    optimizer: optimizerSchema.parse({ learningRate: 0.003, schedule: "constant" }),
    reduction: "token",
    microBatchSize: 3,
    totalSteps: 1,
    threads: 1,
  });
  const { loss } = await runner.run(rollouts, 0);
  await runner.close();
  return loss;
}

describe("evaluateLoss over the rows of a training step", () => {
  for (const [loss, options] of [
    ["dpkd", { level: "sequence", beta: 0.7 }],
    ["ces-kd", { dense: true, shift: 0, teachers: ["small", "large"] }],
    ["distillm-2", { dense: true, anchor: 0.05 }],
    ["forward-kl", { topK: 3 }],
    ["speckd", { topK: 3, rank: 3 }],
    ["swing", { topK: 3 }],
  ] as const) {
    it(`is what the step computes: ${loss}`, async () => {
      const losses = new LossSet(lossesSchema.parse([{ name: loss, ...options }]));
      const { named = {}, ...own } = losses.requirement(0);
      const { value } = await evaluateLoss({
        loss,
        options,
        studentLogits: ALL.student,
        vocabulary: V,
        targets: ALL.targets,
        sequences: TEXTS.map(({ row, response }) => ({ length: response.length, row })),
        byStudent: TEXTS.flatMap(({ response, author }) =>
          Array.from(response, () => (author === "student" ? 1 : 0)),
        ),
        ...signalOfAll(80, own),
        signals: Object.fromEntries(
          Object.entries(named).map(([name, asked], index) => [
            name,
            signalOfAll(90 + 10 * index, asked).signal,
          ]),
        ),
      });
      assert.ok(value > 1e-3);
      assertAllClose([value], [await stepLoss(losses)], { rtol: 1e-4, atol: 1e-5 });
    });
  }
});
