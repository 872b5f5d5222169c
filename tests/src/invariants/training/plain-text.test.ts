import assert from "node:assert/strict";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { initFromScratch } from "@tandem/student-trainer/checkpoint/init-student.js";
import { LossSet, lossesSchema } from "@tandem/student-trainer/losses/loss-set.js";
import type { Schedule } from "@tandem/student-trainer/losses/schedule.js";
import { optimizerSchema } from "@tandem/student-trainer/optim/optimizer-config.js";
import { AUTHOR, NO_STATS, type Rollout } from "@tandem/student-trainer/rollout/rollout.js";
import { PlainTextFeed } from "@tandem/student-trainer/training/plain-text-feed.js";
import { TrainStep } from "@tandem/student-trainer/training/train-step.js";
import type { PlainText } from "@tandem/student-trainer/training/trainer-options.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { curveOf, runTiny, temporaryRun, TINY_LLAMA } from "./fixture-run.js";

const pieces = [
  [2, 5, 7, 1],
  [3, 3, 4, 9, 12, 6],
  [8, 10],
].map((ids) => Uint32Array.from(ids));
const constant = (value: number) => ({ kind: "constant", value }) as const;

const toRollout = (piece: Uint32Array, row: number): Rollout => ({
  row,
  sample: 0,
  epoch: 0,
  prompt: piece.subarray(0, 1),
  response: piece.subarray(1),
  authors: new Uint8Array(piece.length - 1).fill(AUTHOR.data),
  finish: "length",
  stats: NO_STATS,
});

/** So many steps on the same rollouts: what they reported, and all weights. */
async function train(
  weight: number | readonly object[],
  {
    rollouts,
    plainText,
    microBatchSize = null,
  }: { rollouts: readonly Rollout[]; plainText?: PlainText; microBatchSize?: number | null },
) {
  const model = initFromScratch(TINY_LLAMA, 7);
  const step = new TrainStep({
    model,
    vocabulary: TINY_LLAMA.vocabSize,
    losses: new LossSet(
      lossesSchema.parse(typeof weight === "number" ? [{ name: "cross-entropy", weight }] : weight),
    ),
    plainText,
    optimizer: optimizerSchema.parse({ learningRate: 0.02, warmupSteps: 0, schedule: "constant" }),
    reduction: "token",
    microBatchSize,
    totalSteps: 3,
    threads: 1,
  });
  try {
    const results = [];
    const feed = plainText && new PlainTextFeed(plainText, 3);
    for (let at = 0; at < 3; at++) {
      results.push(await step.run(rollouts, at, await feed?.take(at, signal)));
    }
    return { results, weights: [...model.weights.values()].flatMap((own) => [...own]) };
  } finally {
    await step.close();
  }
}

const { signal } = new AbortController();

/** A teacher whose law depends on the token before, all V logits. */
const scored = (texts: readonly Rollout[]): readonly Rollout[] =>
  texts.map((text) => {
    const before = [...text.prompt, ...text.response.slice(0, -1)];
    const logits = before.flatMap((id) =>
      Array.from({ length: TINY_LLAMA.vocabSize }, (_, v) => 2 * Math.sin(3 * id + 1.3 * v * v)),
    );
    const dense = Float32Array.from(logits);
    const count = text.response.length;
    return { ...text, signal: { from: 1, count, topK: 0, tauCount: 0, dense } };
  });

const dirs: string[] = [];
async function newDir(): Promise<string> {
  const dir = await temporaryRun();
  dirs.push(dir);
  return dir;
}
after(async () => {
  for (const dir of dirs) await rm(dir, { recursive: true, force: true });
});

describe("plain text beside the rollouts", () => {
  // All pieces in every step, in some order, which moves a sum's last bits.
  const plainText: PlainText = { pieces, rows: pieces.length, weight: constant(0.5), seed: 4 };
  const other = [toRollout(Uint32Array.of(4, 11, 2, 6, 1), 0)];

  it("alone is the cross-entropy of its pieces", async () => {
    const plain = await train(0, { rollouts: other, plainText });
    const expected = await train(0.5, { rollouts: pieces.map(toRollout) });
    plain.results.forEach(({ loss, losses, gradNorm }, at) => {
      const same = expected.results[at]!;
      const close = { rtol: 1e-5, atol: 1e-7 };
      assertAllClose([loss, gradNorm], [same.loss, same.gradNorm], close);
      assertAllClose([losses["plain-text"]!], [same.losses["cross-entropy"]!], close);
    });
    assertAllClose(plain.weights, expected.weights, { rtol: 1e-3, atol: 1e-5 });
  });

  it("adds its weighted value and gradient to those of the losses", async () => {
    // One step of rollouts and pieces together, each weighed as its mean is: coefficients 1/4 and 0.5/8.
    const both = await train(1, { rollouts: other, plainText });
    const [first] = both.results;
    const alone = (await train(1, { rollouts: other })).results[0]!;
    const plain = (await train(0.5, { rollouts: pieces.map(toRollout) })).results[0]!;
    assertAllClose([first!.loss], [alone.loss + plain.loss], { rtol: 1e-6, atol: 0 });
    // Norms of sums obey the triangle, and the losses differ: strictly.
    assert.ok(first!.gradNorm < alone.gradNorm + plain.gradNorm);
    assert.ok(first!.gradNorm > Math.abs(alone.gradNorm - plain.gradNorm));
    assert.equal(first!.tokens, 4);
  });

  it("is the same in microbatches as at once", async () => {
    const whole = await train(1, { rollouts: other, plainText });
    const cut = await train(1, { rollouts: other, plainText, microBatchSize: 1 });
    assertAllClose(cut.weights, whole.weights, { rtol: 1e-3, atol: 1e-5 });
  });

  it("learns a share of it from a teacher: (1−s)·cross-entropy + s·KL(p‖q)", async () => {
    const share: Schedule = { kind: "steps", values: [0.5, 0.5, 0.25] };
    const distillation = { share, topK: 1, dense: true };
    const score = async (texts: readonly Rollout[]) => scored(texts);
    const plain = await train(0, {
      rollouts: other,
      plainText: { ...plainText, distillation, score },
    });
    const parts = (at: number) => [0.5 * (1 - at), 0.5 * at];
    const steps = (index: number) => ({
      kind: "steps",
      values: [0.5, 0.5, 0.25].map((at) => parts(at)[index]!),
    });
    const expected = await train(
      [
        { name: "cross-entropy", weight: steps(0) },
        { name: "forward-kl", dense: true, weight: steps(1) },
      ],
      { rollouts: scored(pieces.map(toRollout)) },
    );
    plain.results.forEach(({ loss, losses, gradNorm }, at) => {
      const same = expected.results[at]!;
      const close = { rtol: 1e-5, atol: 1e-7 };
      assertAllClose([loss, gradNorm], [same.loss, same.gradNorm], close);
      assertAllClose(
        [losses["plain-text"]!, losses["plain-text-kl"]!],
        [same.losses["cross-entropy"]!, same.losses["forward-kl"]!],
        close,
      );
    });
    assertAllClose(plain.weights, expected.weights, { rtol: 1e-3, atol: 1e-5 });
  });

  it("asks a teacher about the next step's pieces while a step is made, and again if it failed", async () => {
    const asked: string[] = [];
    let fails = 1;
    const score = async (texts: readonly Rollout[]) => {
      asked.push(texts.map(({ prompt, response }) => [...prompt, ...response].join()).join(" "));
      if (asked.length === 2 && fails-- > 0) throw new Error("no teacher");
      return texts;
    };
    const options = { pieces, rows: 2, seed: 4 };
    const [feed, silent] = [
      new PlainTextFeed({ ...options, score }, 3),
      new PlainTextFeed(options, 3),
    ];
    const text = ({ prompt, response }: Rollout) => [...prompt, ...response].join();
    assert.deepEqual(await feed.take(0, signal), await silent.take(0, signal));
    assert.equal(asked.length, 2);
    await assert.rejects(feed.take(1, signal), /no teacher/);
    const steps = [await feed.take(1, signal), await feed.take(2, signal)];
    assert.deepEqual(
      steps.map((own) => own.map(text)),
      [(await silent.take(1, signal)).map(text), (await silent.take(2, signal)).map(text)],
    );
    // Steps 0, 1 (which failed), 1 and 2: none behind the last.
    assert.equal(asked.length, 4);
  });

  it("follows the schedule of its weight", async () => {
    const weight: Schedule = { kind: "steps", values: [0, 1, 2] };
    const { results } = await train(0, { rollouts: other, plainText: { ...plainText, weight } });
    results.forEach(({ loss, losses }, at) => {
      assertAllClose([loss], [at * losses["plain-text"]!], { rtol: 1e-6, atol: 1e-9 });
    });
  });

  it("takes every piece once before any twice, and resumes to the bit, in a thread too", async () => {
    const stream: PlainText = { ...plainText, rows: 2 };
    const [whole, parts] = [await newDir(), await newDir()];
    const expected = await runTiny({ runDir: whole, plainText: stream });
    await runTiny({ runDir: parts, plainText: stream, abortAfter: 5, ownThread: true });
    const result = await runTiny({ runDir: parts, plainText: stream, resume: true });
    assert.deepEqual(await curveOf(parts), await curveOf(whole));
    const [own, same] = [result, expected].map(({ checkpoint }) =>
      join(checkpoint, "model.safetensors"),
    );
    assert.deepEqual(await readFile(own!), await readFile(same!));
    // With hardly a learning rate a step's value depends on its pieces alone: with as many as there are it is always that of all of them.
    const idle = await newDir();
    await runTiny({ runDir: idle, plainText: { ...stream, rows: 3 }, learningRate: 1e-12 });
    const values = (await curveOf(idle)).flatMap((record) => {
      const { losses } = record as { readonly losses?: Readonly<Record<string, number>> };
      return losses === undefined ? [] : [losses["plain-text"]!];
    });
    assertAllClose(
      values,
      values.map(() => values[0]!),
      { rtol: 1e-6, atol: 0 },
    );
  });
});
