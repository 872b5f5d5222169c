import { describe, it } from "node:test";
import { assertAllClose } from "../../helpers/all-close.js";
import { evaluateRows, randomLogits, type MethodChoice } from "./method-rows.js";

/** Losses whose gradient is that of their value: nothing in them is held constant. */
const SMOOTH: readonly MethodChoice[] = [
  { loss: "forward-kl", options: { topK: 3 } },
  { loss: "reverse-kl", options: { topK: 3 } },
  { loss: "generalized-jsd", options: { topK: 3, beta: 0.3 } },
  { loss: "skew-forward-kl", options: { topK: 3, temperature: 2 } },
  { loss: "skew-reverse-kl", options: { dense: true } },
  { loss: "total-variation", options: { topK: 3 } },
  { loss: "dist", options: { topK: 3 } },
  { loss: "uld", options: { topK: 3 } },
  { loss: "dpkd" },
  { loss: "dtkd", options: { mode: "released" } },
  { loss: "atkd", options: { topK: 3 } },
  { loss: "atkd", options: { dense: true, direction: "reverse" } },
  { loss: "ranking", options: { k: 3, operator: "soft-rank", strength: 1.5 } },
  { loss: "ranking", options: { k: 3, operator: "pairwise-sigmoid" } },
  { loss: "ranking", options: { k: 3, operator: "pearson" } },
  { loss: "ranking", options: { k: 3, operator: "plackett-luce", dense: true } },
  { loss: "ranking", options: { k: 3, operator: "listwise" } },
  { loss: "rlkd", options: { k: 3, topK: 4, dynamic: true } },
  { loss: "continuation-kd", options: { phi: 0.5, psi: 0.25, margin: 1 } },
  { loss: "continuation-kd", options: { phi: 0.5, psi: 0, support: "top-k-approximation", k: 2 } },
  { loss: "rs-kd" },
  { loss: "rs-kd", options: { drawTemperature: 2 } },
  { loss: "gold", options: { topK: 3, beta: 0.3 } },
  { loss: "gold", options: { topK: 3, hybrid: false } },
  { loss: "truncated-forward-kl", options: { topK: 3, normalise: "both" } },
  { loss: "speckd", options: { topK: 3, rank: 3 } },
];

const [rows, vocabulary, step] = [3, 7, 1e-5];
const student = Float64Array.from(randomLogits(1, rows * vocabulary, 1.5));
const teacher = randomLogits(2, rows * vocabulary, 2);

describe("the gradient of a loss equals central differences of its value", () => {
  for (const choice of SMOOTH) {
    it(`${choice.loss} ${JSON.stringify(choice.options ?? {})}`, async () => {
      const { gradient } = await evaluateRows(choice, { vocabulary, student, teacher });
      const differences = new Float64Array(rows * vocabulary);
      for (let id = 0; id < vocabulary; id++) {
        // Rows are independent of each other, so one id is moved in all of them at once.
        const moved = (by: number) => student.map((x, at) => (at % vocabulary === id ? x + by : x));
        const [up, down] = await Promise.all(
          [step, -step].map((by) =>
            evaluateRows(choice, { vocabulary, student: moved(by), teacher }),
          ),
        );
        for (let row = 0; row < rows; row++) {
          const slope = (up!.perToken[row]! - down!.perToken[row]!) / (2 * step);
          differences[row * vocabulary + id] = slope / rows;
        }
      }
      // Second-order differences: error step² and rounding 1e-16/step.
      assertAllClose(gradient, differences, { rtol: 1e-6, atol: 1e-8 });
    });
  }
});
