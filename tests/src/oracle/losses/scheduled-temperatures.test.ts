import { describe, it } from "node:test";
import { evaluateLoss, lossRequirement } from "@tandem/student-trainer";
import { assertAllClose } from "../../helpers/all-close.js";
import { signalOfLogits } from "../../helpers/signal-of-logits.js";
import { randomLogits } from "./method-rows.js";

const [rows, vocabulary, progress] = [4, 7, 0.25];
const student = randomLogits(91, rows * vocabulary, 1.5);
const teacher = randomLogits(92, rows * vocabulary, 2);
const targets = Uint32Array.of(0, 3, 1, 6);

function evaluate(loss: string, options: Readonly<Record<string, unknown>>) {
  const requirement = lossRequirement(loss, options, progress);
  return evaluateLoss({
    loss,
    options,
    studentLogits: student,
    vocabulary,
    targets,
    ...signalOfLogits({ vocabulary, teacher, student, targets }, requirement),
    progress,
    engine: "reference",
  });
}

describe("a temperature that moves with the run", () => {
  for (const [loss, options] of [
    ["forward-kl", { topK: 4 }],
    ["reverse-kl", { dense: true }],
    ["adakd", {}],
    ["dtkd", {}],
    ["dtkd", { mode: "solved" }],
    ["dtkd", { mode: "released" }],
    ["swing", { topK: 4, noise: 0 }],
  ] as const) {
    it(`is in ${loss} ${JSON.stringify(options)} what it is at that point: 4 to 2 after a quarter is 3.5`, async () => {
      const temperature = { kind: "linear", from: 4, to: 2 };
      const moving = await evaluate(loss, { ...options, temperature });
      const fixed = await evaluate(loss, { ...options, temperature: 3.5 });
      assertAllClose(moving.perToken, fixed.perToken, { rtol: 1e-9, atol: 1e-12 });
      assertAllClose(moving.gradient, fixed.gradient, { rtol: 1e-9, atol: 1e-12 });
    });
  }
});
