import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { initFromScratch } from "@tandem/student-trainer/checkpoint/init-student.js";
import { LossSet, lossesSchema } from "@tandem/student-trainer/losses/loss-set.js";
import { AUTHOR, type Rollout } from "@tandem/student-trainer/rollout/rollout.js";
import { GradientEngine } from "@tandem/student-trainer/training/gradient-engine.js";
import {
  minibatchColumns,
  seenPositions,
} from "@tandem/student-trainer/training/minibatch-columns.js";
import { packMicrobatch } from "@tandem/student-trainer/training/pack-microbatch.js";
import { signalInputs } from "@tandem/student-trainer/training/signal-inputs.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { randomLogits } from "../../oracle/losses/method-rows.js";
import { TINY_LLAMA } from "./fixture-run.js";

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
    dense: randomLogits(43, response.length * vocabulary, 2),
  },
  stats: { judged: 0, accepted: 0, replaced: 0, computedPositions: 0 },
};
const coefficients = new Float64Array(response.length).fill(1 / response.length);

/** Probe, then loss and gradient, with at most so many rows of logits at once. */
async function compute(chunkRows: number) {
  const losses = new LossSet(lossesSchema.parse([{ name: "adakd", ratio: 0.5 }]));
  const requirement = losses.requirement(0);
  const model = initFromScratch(TINY_LLAMA, 7);
  const engine = new GradientEngine({ model, vocabulary, losses, requirement, threads: 1 });
  const packing = {
    vocabulary,
    signalInputs: signalInputs(requirement, vocabulary),
    positionMultiple: 16,
    chunkRows,
  };
  try {
    const unknown = packMicrobatch([{ rollout, coefficients }], packing);
    const probes = await engine.probe(unknown, []);
    const rows = [{ rollout, coefficients, probes }];
    const [columns] = minibatchColumns(losses, rows, {
      seen: seenPositions(losses, rows),
      progress: 0,
      parameters: [],
    });
    const known = packMicrobatch([{ rollout, coefficients, columns: columns! }], packing);
    const numbers = { weights: [1], scalars: [] };
    const sums = await engine.accumulate(known, numbers, true);
    const [loss] = sums.losses;
    const gradients = [...engine.gradients.values()].flatMap((values) => Array.from(values));
    return { chunks: known.chunks, probes, columns: columns!, loss: loss!, gradients };
  } finally {
    await engine.close();
  }
}

describe("a loss that must know the minibatch under the current student", () => {
  it("gives the same in chunks, padded ones included, as at once", async () => {
    const [whole, cut] = [await compute(8), await compute(2)];
    assert.deepEqual([whole.chunks, cut.chunks], [1, 4]);
    assert.equal(cut.probes[0]!.length, response.length);
    const close = { rtol: 1e-5, atol: 1e-6 };
    assertAllClose(cut.probes[0]!, whole.probes[0]!, close, "probe");
    assertAllClose(cut.columns[1]!, whole.columns[1]!, close, "temperature");
    assertAllClose([cut.loss], [whole.loss], close, "loss");
    assertAllClose(cut.gradients, whole.gradients, close, "gradient");
  });

  it("selects the positions with the largest scores", async () => {
    const { probes, columns } = await compute(8);
    // ⌈0.5·5⌉ of 5 positions, each with 5/3 of its share.
    const third = [...probes[0]!].sort((a, b) => b - a)[2]!;
    const expected = Array.from(probes[0]!, (score) => (score >= third ? 5 / 3 : 0));
    assertAllClose(columns[0]!, expected, { rtol: 1e-6, atol: 0 });
  });
});
