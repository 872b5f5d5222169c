import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { initFromScratch } from "@tandem/student-trainer/checkpoint/init-student.js";
import { initialValues } from "@tandem/student-trainer/losses/initial-values.js";
import { LossSet, lossesSchema } from "@tandem/student-trainer/losses/loss-set.js";
import { AUTHOR, type Rollout } from "@tandem/student-trainer/rollout/rollout.js";
import { GradientEngine } from "@tandem/student-trainer/training/gradient-engine.js";
import { packMicrobatch } from "@tandem/student-trainer/training/pack-microbatch.js";
import { signalInputs } from "@tandem/student-trainer/training/signal-inputs.js";
import { stateWidth } from "@tandem/shared/wire/state-number.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { statesOf } from "../../oracle/losses/method-rows.js";
import { TINY_LLAMA } from "./fixture-run.js";

const vocabulary = TINY_LLAMA.vocabSize;
const sizes = {
  vocabulary,
  student: {
    layers: TINY_LLAMA.layers,
    width: TINY_LLAMA.hiddenSize,
    queryWidth: TINY_LLAMA.heads * TINY_LLAMA.headDim,
    keyWidth: TINY_LLAMA.kvHeads * TINY_LLAMA.headDim,
  },
  teacher: { layers: 3, width: 24, keyWidth: 12 },
};
const losses = new LossSet(
  lossesSchema.parse([
    { name: "hidden-relations", heads: 4 },
    { name: "kd-nas", weight: 0.5 },
    { name: "attention-relations", heads: 4, studentLayer: 1 },
  ]),
  sizes,
);
const requirement = losses.requirement(0);

const rollouts = [5, 3, 4].map((length, row): Rollout => {
  const hidden = new Map(
    requirement.spec.hiddenLayers.map((layer) => [
      layer,
      statesOf("teacher", layer, length, 10 * row).subarray(
        0,
        length * stateWidth(layer, sizes.teacher),
      ),
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

const WEIGHTS = [1, 0.5, 2];

/** Losses and gradients, with chunks of about so many rows. */
async function compute(chunkRows: number, model = initFromScratch(TINY_LLAMA, 7)) {
  const values = initialValues(losses.parameters);
  const engine = new GradientEngine({
    model,
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
    const numbers = { weights: WEIGHTS, scalars: [] };
    const { losses: sums } = await engine.accumulate(packed, numbers, true);
    const byName = engine.gradients;
    const gradients = [...byName.values()].flatMap((own) => Array.from(own));
    const size = packed.feeds["targets.0"]!.shape[0]!;
    return { chunks: packed.chunks, size, slots: [...packed.slots], sums, gradients, byName };
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

  it("have the gradient of their value by every weight of the student, projections of a block included", async () => {
    const { byName } = await compute(12);
    for (const name of ["q_proj", "k_proj", "v_proj"].map(
      (own) => `model.layers.0.self_attn.${own}.weight`,
    )) {
      const gradient = byName.get(name)!;
      const norm = Math.hypot(...gradient);
      const value = async (by: number) => {
        const model = initFromScratch(TINY_LLAMA, 7);
        const weight = model.weights.get(name)!;
        gradient.forEach((slope, at) => (weight[at]! += (by * slope) / norm));
        const { sums } = await compute(12, model);
        return sums.reduce((sum, own, at) => sum + own * WEIGHTS[at]!, 0);
      };
      const step = 0.02;
      const slope = ((await value(step)) - (await value(-step))) / (2 * step);
      // Float32 sums of about 2 are off by 1e-6, which is 5e-5 of a slope; the third derivative adds step².
      assertAllClose([norm], [slope], { rtol: 5e-3, atol: 5e-4 }, name);
    }
  });
});
