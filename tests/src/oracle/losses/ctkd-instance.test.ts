import { describe, it } from "node:test";
import { evaluateLoss } from "@tandem/student-trainer";
import { assertAllClose } from "../../helpers/all-close.js";
import { randomLogits, softmax } from "./method-rows.js";

const [rows, vocabulary, hidden] = [3, 6, 2];
const student = Float64Array.from(randomLogits(51, rows * vocabulary, 1.5));
const dense = randomLogits(52, rows * vocabulary, 2);
const network = {
  theta: [0.3],
  "network.0.weight": [0.5, -0.25, 1, 0.75, -0.5, 0.25, 0.125, -1],
  "network.0.bias": [0.1, -0.2],
  "network.1.weight": [0.7, -0.4],
};
type Network = Readonly<Record<keyof typeof network, readonly number[]>>;

const evaluate = (parameters: Network, options: object) =>
  evaluateLoss({
    loss: "ctkd",
    options: { instance: true, hidden, reversal: 1, ...options },
    studentLogits: student,
    vocabulary,
    targets: new Uint32Array(rows),
    signal: { from: 1, count: rows, topK: 0, tauCount: 0, dense },
    parameters,
    engine: "reference",
  });

/** T²·KL at T = 1 + 20·σ(θ + w₁·tanh(W₀f + b₀)), f both sides' normalised entropies and largest probabilities, from its formula. */
function expectedValue(row: number): number {
  const cut = (of: ArrayLike<number>) =>
    Array.from({ length: vocabulary }, (_, id) => of[row * vocabulary + id]!);
  const [u, v] = [cut(dense), cut(student)];
  const features = [u, v].flatMap((z) => {
    const law = softmax(z);
    const entropy = -law.reduce((sum, p) => sum + p * Math.log(p), 0) / Math.log(vocabulary);
    return [entropy, Math.max(...law)];
  });
  const activations = network["network.0.bias"].map((bias, unit) =>
    Math.tanh(
      features.reduce(
        (sum, own, at) => sum + own * network["network.0.weight"][at * hidden + unit]!,
        bias,
      ),
    ),
  );
  const theta = activations.reduce(
    (sum, own, unit) => sum + own * network["network.1.weight"][unit]!,
    network.theta[0]!,
  );
  const temperature = 1 + 20 / (1 + Math.exp(-theta));
  const [p, q] = [u, v].map((z) => softmax(z.map((x) => x / temperature)));
  return temperature ** 2 * p!.reduce((sum, own, id) => sum + own * Math.log(own / q![id]!), 0);
}

describe("ctkd of each instance", () => {
  it("has a temperature of each position", async () => {
    const { perToken } = await evaluate(network, {});
    const expected = Array.from({ length: rows }, (_, row) => expectedValue(row));
    assertAllClose(perToken, expected, { rtol: 1e-6, atol: 1e-9 });
  });

  it("begins as the global one", async () => {
    const global = await evaluateLoss({
      loss: "ctkd",
      options: { initial: 0.3 },
      studentLogits: student,
      vocabulary,
      targets: new Uint32Array(rows),
      signal: { from: 1, count: rows, topK: 0, tauCount: 0, dense },
      engine: "reference",
    });
    const { perToken } = await evaluate({ ...network, "network.1.weight": [0, 0] }, {});
    assertAllClose(perToken, global.perToken, { rtol: 1e-9, atol: 0 });
  });

  for (const name of Object.keys(network) as (keyof typeof network)[]) {
    it(`learns ${name} along central differences, reversed where λ says so`, async () => {
      const step = 1e-3;
      const differences = [];
      for (const at of network[name].keys()) {
        const moved = (by: number) =>
          evaluate({ ...network, [name]: network[name].with(at, network[name][at]! + by) }, {});
        const [up, down] = [await moved(step), await moved(-step)];
        differences.push((up.value - down.value) / (2 * step));
      }
      const { parameterGradients } = await evaluate(network, {});
      // Parameters are float32: a step of 1e-3 is off by 6e-8/1e-3, and second-order by step².
      assertAllClose(parameterGradients[name]!, differences, { rtol: 2e-3, atol: 2e-5 });
      const reversed = await evaluate(network, { reversal: -0.5 });
      const halved = parameterGradients[name]!.map((x) => -0.5 * x);
      assertAllClose(reversed.parameterGradients[name]!, halved, { rtol: 1e-6, atol: 1e-9 });
    });
  }
});
