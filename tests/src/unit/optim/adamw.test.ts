import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AdamW } from "@tandem/student-trainer/optim/adamw.js";
import { assertAllClose } from "../../helpers/all-close.js";

const CONFIG = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1 };

function optimizerOf(values: Float32Array, decay = true): AdamW {
  return new AdamW([{ name: "w", values, decay }], CONFIG);
}

function step(optimizer: AdamW, gradient: number[], learningRate = 0.01, gradientScale = 1): void {
  const gradients = new Map([["w", Float32Array.from(gradient)]]);
  optimizer.step({ gradients, learningRate, gradientScale });
}

describe("AdamW", () => {
  it("moves by the learning rate against the gradient's sign in its first step", () => {
    // m̂ = g and v̂ = g², so the update is lr·sign(g), whatever the size; the decay takes lr·λ of the weight first.
    const values = Float32Array.of(1, 1, -2);
    step(optimizerOf(values), [5, -0.001, 0.3]);
    assertAllClose(values, [0.999 - 0.01, 0.999 + 0.01, -2 * 0.999 - 0.01], {
      rtol: 1e-5,
      atol: 0,
    });
  });

  it("does not decay norms and biases", () => {
    const values = Float32Array.of(1);
    step(optimizerOf(values, false), [0]);
    assert.equal(values[0], 1);
  });

  it("decays without a gradient", () => {
    const values = Float32Array.of(1);
    step(optimizerOf(values), [0]);
    assertAllClose(values, [0.999], { rtol: 1e-7, atol: 0 });
  });

  it("follows the published recursion over several steps", () => {
    const values = Float32Array.of(0.5);
    const optimizer = optimizerOf(values);
    const gradients = [0.3, -0.2, 0.7, 0.1];
    let [w, m, v] = [0.5, 0, 0];
    gradients.forEach((gradient, index) => {
      const g = gradient * 0.5;
      step(optimizer, [gradient], 0.02, 0.5);
      w -= 0.02 * 0.1 * w;
      m = 0.9 * m + 0.1 * g;
      v = 0.999 * v + 0.001 * g * g;
      const t = index + 1;
      w -= (0.02 * (m / (1 - 0.9 ** t))) / (Math.sqrt(v / (1 - 0.999 ** t)) + 1e-8);
      assertAllClose(values, [w], { rtol: 2e-6, atol: 0 }, `step ${t}`);
    });
  });

  it("continues with the same bits from saved moments", () => {
    const [a, b] = [Float32Array.of(0.5, -1), Float32Array.of(0.5, -1)];
    const whole = optimizerOf(a);
    const first = optimizerOf(b);
    for (const optimizer of [whole, first]) step(optimizer, [0.3, 0.1]);
    const second = optimizerOf(b);
    second.restore(first.steps, first.moments);
    for (const optimizer of [whole, second]) step(optimizer, [-0.1, 0.2]);
    assert.deepEqual(b, a);
  });

  it("refuses a gradient of another size", () => {
    assert.throws(
      () => step(optimizerOf(Float32Array.of(1, 2)), [1]),
      /w has a gradient of its size/,
    );
  });
});
