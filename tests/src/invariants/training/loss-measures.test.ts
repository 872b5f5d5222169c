import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { initFromScratch } from "@tandem/student-trainer/checkpoint/init-student.js";
import { LossSet, lossesSchema } from "@tandem/student-trainer/losses/loss-set.js";
import { optimizerSchema } from "@tandem/student-trainer/optim/optimizer-config.js";
import { AUTHOR, type Rollout } from "@tandem/student-trainer/rollout/rollout.js";
import { TrainStep } from "@tandem/student-trainer/training/train-step.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { signalOfLogits } from "../../helpers/signal-of-logits.js";
import { randomLogits } from "../../oracle/losses/method-rows.js";
import { TINY_LLAMA } from "./fixture-run.js";

const vocabulary = TINY_LLAMA.vocabSize;
const TEXTS = [Uint32Array.of(3, 5, 7, 2, 11), Uint32Array.of(4, 4, 12)];
const teachers = TEXTS.map(({ length }, at) => randomLogits(41 + at, length * vocabulary, 2));

function makeRollouts(losses: LossSet): readonly Rollout[] {
  const { named = {}, ...own } = losses.requirement(0);
  return TEXTS.map((response, row): Rollout => {
    const prompt = Uint32Array.of(4, 9);
    const teacher = teachers[row]!;
    const signal = (requirement: typeof own) => ({
      ...signalOfLogits({ vocabulary, teacher, student: teacher, targets: response }, requirement)
        .signal,
      from: prompt.length,
    });
    return {
      row,
      sample: 0,
      epoch: 0,
      prompt,
      response,
      authors: new Uint8Array(response.length).fill(AUTHOR.data),
      finish: "length",
      signal: signal(own),
      signals: Object.fromEntries(Object.entries(named).map(([name, of]) => [name, signal(of)])),
      stats: { judged: 0, accepted: 0, replaced: 0, computedPositions: 0 },
    };
  });
}

/** What the steps of a run log beside the values. */
async function measuresOf(loss: object, { steps = 1, microBatchSize = 1 } = {}) {
  const losses = new LossSet(lossesSchema.parse([{ name: "cross-entropy" }, loss]));
  const step = new TrainStep({
    model: initFromScratch(TINY_LLAMA, 7),
    vocabulary,
    losses,
    optimizer: optimizerSchema.parse({ learningRate: 0.05, warmupSteps: 0 }),
    reduction: "token",
    microBatchSize,
    totalSteps: 20,
    threads: 1,
  });
  try {
    const measures = [];
    const rollouts = makeRollouts(losses);
    for (let at = 0; at < steps; at++) measures.push((await step.run(rollouts, at)).measures);
    return measures;
  } finally {
    await step.close();
  }
}

const CLOSE = { rtol: 1e-5, atol: 1e-6 };

describe("what losses log beside their values", () => {
  it("has CTKD's temperature, 1 + 20·σ(1) at first and then what θ has become", async () => {
    for (const instance of [false, true]) {
      const [first, second] = await measuresOf(
        { name: "ctkd", reversal: -1, instance },
        { steps: 2 },
      );
      assert.deepEqual(Object.keys(first!), ["ctkd.temperature"]);
      // Where the network begins with zeros.
      assertAllClose([first!["ctkd.temperature"]!], [1 + 20 / (1 + Math.exp(-1))], CLOSE);
      // Adam's first step is the learning rate, θ: 1 → 1 ± 0.05; each of the network's 16 outputs moves as far.
      assert.ok(Math.abs(second!["ctkd.temperature"]! - first!["ctkd.temperature"]!) > 0.1);
    }
  });

  it("has DTKD's temperatures, which add up to 2τ, the sharper side's the higher one", async () => {
    for (const dense of [true, false]) {
      const [measures] = await measuresOf({ name: "dtkd", temperature: 3, dense, topK: 5 });
      const own = (side: string) => measures![`dtkd.${side}Temperature`]!;
      assertAllClose([own("teacher") + own("student")], [6], CLOSE);
      // The list's student is taken to be as sharp as the teacher (`makeRollouts`).
      if (dense) assert.ok(own("teacher") > own("student") + 0.5);
      else assertAllClose([own("teacher")], [3], CLOSE);
    }
  });

  it("has the part that AdaKD keeps, ⌈0.5·8⌉ of 8, and the mean temperature there", async () => {
    const [measures] = await measuresOf({ name: "adakd", ratio: 0.5, temperature: 2, strength: 0 });
    assertAllClose([measures!["adakd.kept"]!, measures!["adakd.temperature"]!], [0.5, 2], CLOSE);
  });

  it("has ITKD's temperature, the middle of 1 and 8 at first", async () => {
    const [measures] = await measuresOf({ name: "itkd", exploration: 0 });
    assertAllClose([measures!["itkd.temperature"]!], [4.5], CLOSE);
  });

  it("has the teacher that CES-KD chose", async () => {
    const teachers = ["small", "middle", "large"];
    for (const [shift, teacher] of [
      [-1, 0],
      [1, 2],
    ]) {
      const [measures] = await measuresOf({ name: "ces-kd", topK: 5, teachers, shift });
      assert.deepEqual(measures, { "ces-kd.teacher": teacher });
    }
  });

  it("has the part that SpecKD accepts", async () => {
    const options = { name: "speckd", topK: 5, proposal: "token", rank: 4 };
    const [measures] = await measuresOf(options);
    const larger = TEXTS.flatMap((text, row) =>
      Array.from(text, (token, at) => {
        const law = teachers[row]!.subarray(at * vocabulary, (at + 1) * vocabulary);
        return law.filter((logit) => logit > law[token]!).length;
      }),
    );
    const accepted = larger.filter((count) => count < 4).length / larger.length;
    assert.ok(accepted > 0 && accepted < 1, `${accepted}`);
    assertAllClose([measures!["speckd.accepted"]!], [accepted], CLOSE);
  });

  it("has how much Swing takes for private: ids that are named are", async () => {
    // Of the tokens 3, 5, 7, 2, 11, 4, 4, 12 with a gap that nothing else reaches.
    const [measures] = await measuresOf({ name: "swing", topK: 5, gap: 99, privateIds: [4, 11] });
    assertAllClose([measures!["swing.private"]!], [3 / 8], CLOSE);
  });

  it("is the same in microbatches as at once", async () => {
    const loss = { name: "dtkd", temperature: 3 };
    const [[whole], [cut]] = [
      await measuresOf(loss, { microBatchSize: 2 }),
      await measuresOf(loss, { microBatchSize: 1 }),
    ];
    assertAllClose(Object.values(cut!), Object.values(whole!), CLOSE);
  });
});
