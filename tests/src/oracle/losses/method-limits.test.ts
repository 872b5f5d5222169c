import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { listLosses } from "@tandem/student-trainer";
import { assertAllClose } from "../../helpers/all-close.js";
import { evaluateRows, fittingOptions, randomLogits, type MethodChoice } from "./method-rows.js";

const [rows, vocabulary] = [6, 9];
const student = randomLogits(3, rows * vocabulary, 1.5);
const teacher = randomLogits(4, rows * vocabulary, 2);
const zeros = new Float64Array(rows * vocabulary);

/** Variants that are 0 where teacher and student agree; of every loss: lists-and-agreement.test.ts. */
const ZERO_AT_AGREEMENT: readonly MethodChoice[] = [
  { loss: "dtkd", options: { mode: "solved" } },
  { loss: "ranking", options: { k: 3, operator: "pairwise-sigmoid" } },
  { loss: "ranking", options: { k: 3, operator: "pearson" } },
  { loss: "ranking", options: { k: 3, operator: "listwise" } },
  { loss: "truncated-forward-kl", options: { topK: 3, normalise: "both" } },
];

describe("a loss where teacher and student agree", () => {
  for (const choice of ZERO_AT_AGREEMENT) {
    it(`is 0: ${choice.loss} ${JSON.stringify(choice.options ?? {})}`, async () => {
      const { perToken } = await evaluateRows(choice, { vocabulary, student, teacher: student });
      assertAllClose(perToken, new Float64Array(rows), { rtol: 0, atol: 1e-6 });
    });
  }
});

/** Impossible ids, all ids equal, one id with everything, and numbers at the end of float16, in all pairings of the two sides. */
function extremeRows(): { readonly student: Float32Array; readonly teacher: Float32Array } {
  const spread = (largest: number) =>
    Array.from({ length: vocabulary }, (_, id) => largest * (1 - (2 * id) / (vocabulary - 1)));
  const certain = [0, 0, 0, -65504, 65504, 0, 0, 0, 0];
  const finite = [spread(65504), spread(2), Array<number>(vocabulary).fill(-7), certain];
  const alone = Array.from({ length: vocabulary }, (_, id) => (id === 3 ? 0 : -Infinity));
  const some = Array.from({ length: vocabulary }, (_, id) => (id % 2 === 0 ? -Infinity : id));
  const pairs = finite.flatMap((v) => [...finite, alone, some].map((u) => [v, u] as const));
  return {
    student: Float32Array.from(pairs.flatMap(([v]) => v)),
    teacher: Float32Array.from(pairs.flatMap(([, u]) => u)),
  };
}

/** |p − q| has no derivative where both sides are equal: every seventh of the pairs. */
function hasKink(loss: string, at: number): boolean {
  return ["uld", "total-variation"].includes(loss) && Math.floor(at / vocabulary) % 7 === 0;
}

/** Every registered loss, with a list shorter than V, and dense where it can be. */
const EVERY: readonly MethodChoice[] = listLosses().flatMap(({ name, options }) => {
  const has = (option: string) => options.some((own) => own.name === option);
  const small = {
    ...fittingOptions(name, vocabulary),
    ...(has("topK") && { topK: 4 }),
    ...(has("k") && !has("support") && { k: 3 }),
  };
  const dense = has("dense") ? [{ loss: name, options: { ...small, dense: true } }] : [];
  const operators = has("operator")
    ? ["pairwise-sigmoid", "pearson", "plackett-luce", "listwise"].map((operator) => ({
        loss: name,
        options: { ...small, operator },
      }))
    : [];
  const modes = has("mode")
    ? ["released", "solved"].map((mode) => ({ loss: name, options: { ...small, mode } }))
    : [];
  return [{ loss: name, options: small }, ...dense, ...operators, ...modes];
});

/** Variants that other options switch on. */
const VARIANTS: readonly MethodChoice[] = [
  { loss: "dtkd", options: { dense: false, topK: 4 } },
  { loss: "dist", options: { dense: true, within: 1 } },
  { loss: "ctkd", options: { instance: true } },
  { loss: "adakd", options: { controlled: true } },
  { loss: "speckd", options: { topK: 4, proposal: "token", acceptance: "ratio" } },
  { loss: "distillm-2", options: { topK: 4, anchor: 0.1 } },
  { loss: "skew-reverse-kl", options: { topK: 4, detachMixture: true } },
];

describe("every loss", () => {
  const extreme = extremeRows();
  for (const choice of [...EVERY, ...VARIANTS]) {
    it(`stays finite at extremes: ${choice.loss} ${JSON.stringify(choice.options)}`, async () => {
      const at = { vocabulary, ...extreme, engine: "onnx" } as const;
      const { perToken, gradient } = await evaluateRows(choice, at);
      const bad = perToken.findIndex((x) => !Number.isFinite(x));
      assert.equal(bad, -1, `value of row ${bad}`);
      const slope = gradient.findIndex((x) => !Number.isFinite(x));
      assert.equal(slope, -1, `gradient of row ${Math.floor(slope / vocabulary)}`);
    });

    it(`is what float64 makes of it there: ${choice.loss} ${JSON.stringify(choice.options)}`, async () => {
      const [own, exact] = [
        await evaluateRows(choice, { vocabulary, ...extreme, engine: "onnx" }),
        await evaluateRows(choice, { vocabulary, ...extreme }),
      ];
      // Losses up to 2e5 from logits of 65,504, both in float32; a temperature that was found by bisection is good to 2⁻²⁴ of the interval.
      // A list at a temperature of 8 has logits and a normaliser of 8,000, each good to 2⁻¹² nats, which DTKD multiplies with 3·8·1.
      const tempered = choice.options?.["dense"] === false;
      const atol = tempered ? 24 * 2 ** -11 : 2e-5;
      assertAllClose(own.perToken, exact.perToken, { rtol: 1e-5, atol }, "value");
      const count = own.perToken.length;
      const slopes = ({ gradient }: typeof own) =>
        gradient.map((x, at) => (hasKink(choice.loss, at) ? 0 : x * count));
      const rtol = tempered ? 2 ** -11 : 1e-4;
      assertAllClose(slopes(own), slopes(exact), { rtol, atol: 5e-6 }, "gradient");
    });
  }

  for (const { name: loss, requires } of listLosses()) {
    it(`${loss} is 0 without a gradient where every position is masked`, async () => {
      const weights = Array<number>(rows).fill(0);
      const at = { vocabulary, student, teacher, weights };
      const options = fittingOptions(loss, vocabulary);
      const { value, gradient } = await evaluateRows({ loss, options }, at);
      assert.equal(value, 0);
      assert.deepEqual(gradient.map(Math.abs), zeros);
    });

    // Those that relate positions to each other see them all.
    if (requires.keepsSequences) continue;
    it(`${loss} of one valid position sees the others neither in value nor in gradient`, async () => {
      const weights = [0, 0, 0, 0, 1, 0];
      // Noise is counted by position, which is another one alone.
      const noiseless: Readonly<Record<string, object>> = {
        swing: { noise: 0 },
        itkd: { exploration: 0 },
      };
      const options = { ...fittingOptions(loss, vocabulary), ...noiseless[loss] };
      const byStudent = [1, 0, 1, 1, 1, 1];
      const own = (of: Float32Array) => of.slice(4 * vocabulary, 5 * vocabulary);
      const masked = await evaluateRows(
        { loss, options },
        { vocabulary, student, teacher, weights, byStudent },
      );
      const alone = await evaluateRows(
        { loss, options },
        {
          vocabulary,
          student: own(student),
          teacher: own(teacher),
          targets: Uint32Array.of(4),
          firstRow: 4,
        },
      );
      assertAllClose([masked.value], [alone.value], { rtol: 1e-12, atol: 1e-12 });
      const expected = zeros.slice();
      expected.set(alone.gradient, 4 * vocabulary);
      assertAllClose(masked.gradient, expected, { rtol: 1e-12, atol: 1e-12 });
    });
  }
});
