/** Methods that are forward KL where what they add is switched off, at the size of a real vocabulary. */
import { describe, it } from "node:test";
import { evaluateLoss, lossRequirement, type LossValue } from "@tandem/student-trainer";
import { assertAllClose } from "../../helpers/all-close.js";
import { signalOfLogits } from "../../helpers/signal-of-logits.js";
import { SIZES, statesOf } from "./method-rows.js";

const [rows, vocabulary, topK] = [2, 49_152, 16];

/** A few hundred peaks over a floor. */
const logits = (phase: number) =>
  Float32Array.from({ length: rows * vocabulary }, (_, at) => {
    const wave = 4 * Math.sin(0.7 * at + phase) + 5 * Math.sin(0.0013 * at * (at % 811) + phase);
    return 0.02 * wave ** 3;
  });
const [student, teacher] = [logits(0.5), logits(0)];
const targets = Uint32Array.of(3, 40_000);

function evaluate(loss: string, options: Readonly<Record<string, unknown>>): Promise<LossValue> {
  const requirement = lossRequirement(loss, options, 0, { ...SIZES, vocabulary });
  const hidden = (layer: number) => statesOf("teacher", layer, rows);
  const known = { vocabulary, teacher, student, targets, hidden };
  return evaluateLoss({
    loss,
    options,
    studentLogits: student,
    vocabulary,
    targets,
    sizes: SIZES,
    ...signalOfLogits(known, requirement),
  });
}

const SWITCHED_OFF = [
  // B is zero at first: p′ = p.
  ["okd", { topK, labels: 0, towardsStudent: 0, anchor: 3 }],
  // All of the mass is kept.
  ["dac-kl", { topK, features: 4, floor: 1 }],
  // Nothing is private.
  ["swing", { topK, gap: 1e4 }],
  ["teacher-mixture", { topK }],
  ["ces-kd", { topK }],
] as const;

describe(`methods without what they add are forward KL, V = ${vocabulary}`, async () => {
  const plain = await evaluate("forward-kl", { topK });
  for (const [loss, options] of SWITCHED_OFF) {
    it(`${loss} ${JSON.stringify(options)}`, async () => {
      const own = await evaluate(loss, options);
      // Float32 over 17 atoms.
      assertAllClose(own.perToken, plain.perToken, { rtol: 1e-4, atol: 1e-5 }, "value");
      assertAllClose(own.gradient, plain.gradient, { rtol: 1e-3, atol: 1e-6 }, "gradient");
    });
  }
});
