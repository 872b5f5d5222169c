import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { lossRequirement } from "@tandem/student-trainer";
import {
  publishedPhi,
  publishedPsi,
} from "@tandem/student-trainer/losses/continuation-schedules.js";
import { scheduleAt } from "@tandem/student-trainer/losses/schedule.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { evaluateRows } from "./method-rows.js";

const EXACT = { rtol: 1e-12, atol: 1e-12 };

describe("the published schedules of Continuation-KD", () => {
  // Progress within an epoch i = 1 … n of the run.
  const during = (epoch: number, epochs: number) => (epoch - 0.5) / epochs;

  it("CIFAR: the distillation term ends at epoch 150 with φ = 0.8, and φ is 1 from epoch 190", () => {
    const phi = (epoch: number) => scheduleAt(publishedPhi("cifar"), during(epoch, 200));
    const psi = (epoch: number) => scheduleAt(publishedPsi("cifar"), during(epoch, 200));
    const epochs = [1, 9, 10, 150, 189, 190, 200];
    assertAllClose(epochs.map(phi), [0.05, 0.05, 0.1, 0.8, 0.95, 1, 1], EXACT);
    assertAllClose([1, 75, 150, 151, 200].map(psi), [1 / 150, 0.5, 1, 1, 1], EXACT);
  });

  it("GLUE: ψ jumps from ½ to 1 behind epoch 20, where φ is 0.7", () => {
    const phi = (epoch: number) => scheduleAt(publishedPhi("glue"), during(epoch, 30));
    const psi = (epoch: number) => scheduleAt(publishedPsi("glue"), during(epoch, 30));
    assertAllClose([20, 27, 30].map(phi), [0.7, 1, 1], EXACT);
    assertAllClose([20, 21].map(psi), [0.5, 1], EXACT);
  });
});

describe("continuation-kd", () => {
  const rows = {
    vocabulary: 3,
    student: Float64Array.of(3, 0, -3),
    teacher: Float32Array.of(2, 1, 0),
    targets: Uint32Array.of(0),
  };
  const value = async (options: Readonly<Record<string, unknown>>) =>
    (await evaluateRows({ loss: "continuation-kd", options: { psi: 0, ...options } }, rows)).value;

  it("is the mean squared error to the centred, scaled teacher, less the scaled margin", async () => {
    // φ = ½: target (½, 0, −½), error (6.25 + 0 + 6.25)/3.
    assertAllClose([await value({ phi: 0.5 })], [12.5 / 3], EXACT);
    assertAllClose([await value({ phi: 0.5, norm: "sum", margin: 5 })], [10], EXACT);
  });

  it("is 0 without a gradient within the margin", async () => {
    const options = { phi: 0.5, psi: 0, margin: 9 };
    const { value: none, gradient } = await evaluateRows(
      { loss: "continuation-kd", options },
      rows,
    );
    assert.deepEqual([none, ...gradient.map(Math.abs)], [0, 0, 0, 0]);
  });

  it("compares raw logits if told so", async () => {
    // Target (1, ½, 0): errors 2, −½, −3.
    assertAllClose([await value({ phi: 0.5, centred: false })], [13.25 / 3], EXACT);
  });

  it("asks for a dense signal, and for lists and moments as an approximation", () => {
    assert.equal(lossRequirement("continuation-kd").spec.dense, "f32");
    const listed = lossRequirement("continuation-kd", { support: "top-k-approximation", k: 8 });
    assert.deepEqual(
      [listed.spec.dense, listed.spec.topK, listed.spec.moments, listed.studentTopK],
      ["none", 8, true, 8],
    );
  });
});
