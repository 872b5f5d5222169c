import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { initFromScratch } from "@tandem/student-trainer/checkpoint/init-student.js";
import { initialValues } from "@tandem/student-trainer/losses/initial-values.js";
import { LossSet, lossesSchema } from "@tandem/student-trainer/losses/loss-set.js";
import { AUTHOR, type Rollout } from "@tandem/student-trainer/rollout/rollout.js";
import { GradientEngine } from "@tandem/student-trainer/training/gradient-engine.js";
import { packMicrobatch } from "@tandem/student-trainer/training/pack-microbatch.js";
import { signalInputs } from "@tandem/student-trainer/training/signal-inputs.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { statesOf } from "../../oracle/losses/method-rows.js";
import { TINY_LLAMA } from "./fixture-run.js";

const vocabulary = TINY_LLAMA.vocabSize;
const sizes = {
  vocabulary,
  student: { layers: TINY_LLAMA.layers, width: TINY_LLAMA.hiddenSize },
  teacher: { layers: 3, width: 24 },
};
const losses = new LossSet(
  lossesSchema.parse([
    { name: "hidden-relations", heads: 4 },
    { name: "kd-nas", weight: 0.5 },
  ]),
  sizes,
);
const requirement = losses.requirement(0);

const rollouts = [5, 3, 4].map((length, row): Rollout => {
  const hidden = new Map(
    requirement.spec.hiddenLayers.map((layer) => [
      layer,
      statesOf("teacher", layer, length, 10 * row),
    ]),
  );
  return {
    row,
    sample: 0,
    epoch: 0,
    prompt: Uint32Array.of(2, 3 + row),
    response: Uint32Array.from({ length }, (_, at) => (3 * row + 5 * at) % vocabulary),
    authors: new Uint8Array(length).fill(AUTHOR.student),
    finish: "length",
    signal: { from: 2, count: length, topK: 0, tauCount: 0, hidden },
    stats: { judged: 0, accepted: 0, replaced: 0, computedPositions: 0 },
  };
});

/** Losses and gradients, with chunks of about so many rows. */
async function compute(chunkRows: number) {
  const values = initialValues(losses.parameters);
  const engine = new GradientEngine({
    model: initFromScratch(TINY_LLAMA, 7),
    vocabulary,
    losses,
    requirement,
    lossParameters: losses.parameters.map(({ name, shape }, at) => ({
      name,
      shape,
      values: values[at]!,
    })),
    threads: 1,
  });
  try {
    const packed = packMicrobatch(
      rollouts.map((rollout) => ({
        rollout,
        coefficients: new Float64Array(rollout.response.length).fill(1 / 12),
      })),
      {
        vocabulary,
        signalInputs: signalInputs(requirement, vocabulary),
        positionMultiple: 16,
        chunkRows,
        keepSequences: losses.keepsSequences,
      },
    );
    const sums = await engine.accumulate(packed, { weights: [1, 0.5], scalars: [] }, true);
    const gradients = [...engine.gradients].flatMap(([, own]) => Array.from(own));
    const size = packed.feeds["targets.0"]!.shape[0]!;
    return { chunks: packed.chunks, size, slots: [...packed.slots], sums, gradients };
  } finally {
    await engine.close();
  }
}

describe("losses that relate positions to each other", () => {
  it("give the same whether sequences share a chunk or not, and see none cut", async () => {
    const [whole, cut] = [await compute(12), await compute(6)];
    assert.deepEqual([whole.chunks, whole.size], [1, 12]);
    // Lengths 5, 3, 4 in two chunks: 5 | 3 4 needs chunks of 7.
    assert.deepEqual([cut.chunks, cut.size], [2, 7]);
    assert.deepEqual(cut.slots, [0, 1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 13]);
    const close = { rtol: 1e-4, atol: 1e-6 };
    assertAllClose(cut.sums, whole.sums, close, "losses");
    assertAllClose(cut.gradients, whole.gradients, close, "gradients");
    assert.ok(whole.gradients.some((x) => Math.abs(x) > 1e-3));
  });
});
