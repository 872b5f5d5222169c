import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertAllClose } from "../../helpers/all-close.js";
import { logSumExp } from "../../helpers/signal-of-logits.js";
import { evaluateRows, randomLogits, type MethodChoice } from "./method-rows.js";

/** Enough ids for laws to be taken apart into logits and normaliser (`MANY_ATOMS` in atoms.ts). */
const vocabulary = 1500;

const DIVERGENCES: readonly MethodChoice[] = [
  "forward-kl",
  "reverse-kl",
  "generalized-jsd",
  "skew-forward-kl",
  "skew-reverse-kl",
  "distillm-2",
  "total-variation",
  "akl",
  "atkd",
  "ctkd",
  "dtkd",
].map((loss) => ({ loss, options: loss === "ctkd" ? {} : { dense: true } }));

/** The terms of some of them by log p and log q, in float64; log p counts as at least −100. */
const SUMS: Readonly<Record<string, (logP: number, logQ: number) => number>> = {
  "forward-kl": (logP, logQ) => Math.exp(logP) * (Math.max(logP, -100) - logQ),
  "reverse-kl": (logP, logQ) => Math.exp(logQ) * (logQ - Math.max(logP, -100)),
  "total-variation": (logP, logQ) => 0.5 * Math.abs(Math.exp(logP) - Math.exp(logQ)),
  "generalized-jsd": (logP, logQ) => {
    const [p, q] = [Math.exp(logP), Math.exp(logQ)];
    const part = (x: number) => (x === 0 ? 0 : 0.5 * x * Math.log((2 * x) / (p + q)));
    return part(p) + part(q);
  },
};

/** One id with everything, half of the ids impossible, all ids equal, logits at the end of float16, in all pairings of the two sides. */
function extremeRows() {
  const row = (at: (id: number) => number) => Array.from({ length: vocabulary }, (_, id) => at(id));
  const spread = (largest: number) => row((id) => largest * (1 - (2 * id) / (vocabulary - 1)));
  const certain = row((id) => (id === 4 ? 65504 : 0));
  const finite = [spread(65504), spread(2), row(() => -7), certain];
  const some = row((id) => (id % 2 === 0 ? -Infinity : Math.sin(id)));
  const alone = row((id) => (id === 3 ? 0 : -Infinity));
  const pairs = finite.flatMap((v) => [...finite, some, alone].map((u) => [v, u] as const));
  return {
    student: Float32Array.from(pairs.flatMap(([v]) => v)),
    teacher: Float32Array.from(pairs.flatMap(([, u]) => u)),
  };
}

describe("a divergence over many atoms", () => {
  const student = randomLogits(7, 3 * vocabulary, 2);
  const extreme = extremeRows();
  for (const choice of DIVERGENCES) {
    it(`vanishes with its gradient where both sides agree up to an offset: ${choice.loss}`, async () => {
      const teacher = student.map((x) => x + 12);
      const { perToken, gradient } = await evaluateRows(choice, {
        vocabulary,
        student,
        teacher,
        engine: "onnx",
      });
      // The offset leaves a rounding of 12 · 2^−23 in each logit, which some weigh with squares of temperatures.
      const atol = ["ctkd", "dtkd"].includes(choice.loss) ? 2e-4 : 5e-6;
      assertAllClose(perToken, new Float64Array(3), { rtol: 0, atol });
      // Total variation has a kink there.
      if (choice.loss === "total-variation") return;
      assertAllClose(gradient, new Float64Array(student.length), { rtol: 0, atol: 1e-6 });
    });

    it(`is finite at extremes: ${choice.loss}`, async () => {
      const { perToken, gradient } = await evaluateRows(choice, {
        vocabulary,
        ...extreme,
        engine: "onnx",
      });
      assert.ok(perToken.every(Number.isFinite), perToken.join());
      assert.ok(gradient.every(Number.isFinite));
      const divergence = SUMS[choice.loss];
      if (divergence === undefined) return;
      const expected = Array.from(perToken, (_, row) => {
        const [v, u] = [extreme.student, extreme.teacher].map((of) =>
          logLaw(Array.from(of.subarray(row * vocabulary, (row + 1) * vocabulary))),
        );
        return u!.reduce((sum, logP, id) => sum + divergence(logP, v![id]!), 0);
      });
      // A normaliser of 65504 and the sum over 1,500 atoms of its size leave 1.5e-6 of it.
      assertAllClose(perToken, expected, { rtol: 1e-4, atol: 0.1 });
    });
  }
});

function logLaw(logits: readonly number[]): readonly number[] {
  const lse = logSumExp(logits);
  return logits.map((x) => x - lse);
}
