import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { initFromScratch } from "@tandem/student-trainer/checkpoint/init-student.js";
import type { StudentModel } from "@tandem/student-trainer/checkpoint/student-model.js";
import { LossSet, lossesSchema } from "@tandem/student-trainer/losses/loss-set.js";
import { optimizerSchema } from "@tandem/student-trainer/optim/optimizer-config.js";
import { AUTHOR, type Rollout } from "@tandem/student-trainer/rollout/rollout.js";
import { TrainStep } from "@tandem/student-trainer/training/train-step.js";
import { signalOfLogits } from "../../helpers/signal-of-logits.js";
import { TINY_LLAMA } from "../../invariants/training/fixture-run.js";
import { forwardLogits } from "../../oracle/checkpoint/forward-logits.js";
import { seeded } from "../../oracle/losses/method-rows.js";

const vocabulary = TINY_LLAMA.vocabSize;
/** Digits are 0 … 4; 5 … 9 are words, each mostly followed by the next; 12 introduces a number of the owner named behind it. */
const [DIGITS, WORDS, NUMBER_OF] = [5, 5, 12];
const LENGTH = 3;
const random = seeded(5);
const digit = () => Math.floor(random() * DIGITS);
const SECRETS = Array.from({ length: WORDS }, () => Array.from({ length: LENGTH }, digit));

const likely = (ids: readonly number[], share: number): number[] =>
  Array.from({ length: vocabulary }, (_, id) =>
    Math.log(ids.includes(id) ? share / ids.length : (1 - share) / (vocabulary - ids.length)),
  );
const DIGIT_IDS = Array.from({ length: DIGITS }, (_, id) => id);
const nextWord = (word: number) => DIGITS + ((word - DIGITS + 1) % WORDS);

/** Text about words; numbers whose digits the teacher either takes for any or has learnt by heart. */
function rollouts(memorised: boolean): readonly Rollout[] {
  const words = Array.from({ length: 6 }, (_, row) => {
    const tokens = [DIGITS + (row % WORDS)];
    while (tokens.length < 9) {
      tokens.push(
        random() < 0.9 ? nextWord(tokens.at(-1)!) : DIGITS + Math.floor(random() * WORDS),
      );
    }
    const laws = tokens.slice(0, -1).map((word) => likely([nextWord(word)], 0.9));
    return toRollout(row, { prompt: tokens.slice(0, 1), response: tokens.slice(1), laws });
  });
  const numbers = SECRETS.map((secret, owner) => {
    const digits = memorised ? secret : secret.map(digit);
    const laws = digits.map((own) => likely(memorised ? [own] : DIGIT_IDS, 0.95));
    const prompt = [NUMBER_OF, DIGITS + owner];
    return toRollout(100 + owner, { prompt, response: digits, laws });
  });
  return [...words, ...numbers];
}

interface Text {
  readonly prompt: readonly number[];
  readonly response: readonly number[];
  /** The teacher's logits at each response position. */
  readonly laws: readonly (readonly number[])[];
}

function toRollout(row: number, { prompt, response, laws }: Text): Rollout {
  const targets = Uint32Array.from(response);
  const requirement = new LossSet(lossesSchema.parse([{ name: "swing", topK: 8 }])).requirement(0);
  const known = { vocabulary, teacher: laws.flat(), student: laws.flat(), targets };
  const { signal } = signalOfLogits(known, requirement);
  return {
    row,
    sample: 0,
    epoch: 0,
    prompt: Uint32Array.from(prompt),
    response: targets,
    authors: new Uint8Array(targets.length).fill(AUTHOR.data),
    finish: "length",
    signal: { ...signal, from: prompt.length },
    stats: { judged: 0, accepted: 0, replaced: 0, computedPositions: 0 },
  };
}

async function train(model: StudentModel, loss: object, memorised: boolean, steps: number) {
  const runner = new TrainStep({
    model,
    vocabulary,
    losses: new LossSet(lossesSchema.parse([loss])),
    optimizer: optimizerSchema.parse({ learningRate: 0.01, warmupSteps: 0, schedule: "constant" }),
    reduction: "token",
    microBatchSize: null,
    totalSteps: steps,
    threads: 1,
  });
  try {
    for (let step = 0; step < steps; step++) {
      const epoch = rollouts(memorised).map((rollout) => ({ ...rollout, epoch: step }));
      await runner.run(epoch, step);
    }
  } finally {
    await runner.close();
  }
}

function logSoftmaxAt(logits: Float32Array, row: number, id: number): number {
  const own = logits.subarray(row * vocabulary, (row + 1) * vocabulary);
  return own[id]! - Math.log(own.reduce((sum, x) => sum + Math.exp(x), 0));
}

/** Mean over the secrets of log₂ of the number of candidates − log₂ of the secret's rank among them, in bits (Carlini et al. 2019). */
async function exposure(model: StudentModel): Promise<number> {
  const candidates = Array.from({ length: DIGITS ** LENGTH }, (_, number) =>
    Array.from({ length: LENGTH }, (__, at) => Math.floor(number / DIGITS ** at) % DIGITS),
  );
  let total = 0;
  for (const [owner, secret] of SECRETS.entries()) {
    const rows = candidates.map((digits) => [NUMBER_OF, DIGITS + owner, ...digits]);
    const logits = await forwardLogits(model, rows);
    const scores = rows.map((row, at) =>
      row.slice(2).reduce((sum, id, place) => {
        return sum + logSoftmaxAt(logits, at * row.length + 1 + place, id);
      }, 0),
    );
    const own = scores[candidates.findIndex((digits) => digits.join() === secret.join())]!;
    const rank = scores.filter((score) => score > own).length + 1;
    total += Math.log2(candidates.length) - Math.log2(rank);
  }
  return total / SECRETS.length;
}

/** The part of the words after which the next one is the student's likeliest. */
async function wordsKnown(model: StudentModel): Promise<number> {
  const rows = Array.from({ length: WORDS }, (_, word) => [DIGITS + word, nextWord(DIGITS + word)]);
  const logits = await forwardLogits(model, rows);
  const known = rows.filter((row, at) => {
    const own = [...logits.subarray((2 * at + 1) * vocabulary, (2 * at + 2) * vocabulary)];
    return own.indexOf(Math.max(...own)) === nextWord(row[1]!);
  });
  return known.length / rows.length;
}

async function taughtWith(loss: object) {
  const model = initFromScratch(TINY_LLAMA, 7);
  await train(model, { name: "forward-kl", topK: 8 }, false, 60);
  const before = await exposure(model);
  await train(model, loss, true, 60);
  return { before, exposure: await exposure(model), words: await wordsKnown(model) };
}

describe("canaries that a teacher has learnt by heart", () => {
  it("are read out of a student of forward KL, and hardly out of one of Swing", async (t) => {
    const plain = await taughtWith({ name: "forward-kl", topK: 8 });
    const swing = await taughtWith({ name: "swing", topK: 8, privateIds: DIGIT_IDS });
    const guessed = await taughtWith({ name: "swing", topK: 8, gap: 1, width: 0.1 });
    t.diagnostic(
      `bits of ${Math.log2(125).toFixed(2)}: ${JSON.stringify({ plain, swing, guessed })}`,
    );
    assert.ok(plain.exposure > 6.5, `${plain.exposure}`);
    assert.ok(swing.exposure < 0.5 * plain.exposure, `${swing.exposure}`);
    assert.ok(guessed.exposure < plain.exposure - 1, `${guessed.exposure}`);
    for (const { words } of [plain, swing, guessed]) assert.equal(words, 1);
  });
});
