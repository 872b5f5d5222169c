import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  evaluateLoss,
  lossRequirement,
  type LossEvaluation,
  type LossSequence,
} from "@tandem/student-trainer";
import { assertAllClose } from "../../helpers/all-close.js";
import { logSumExp, signalOfLogits } from "../../helpers/signal-of-logits.js";
import { evaluateRows, randomLogits, SIZES } from "./method-rows.js";

/** A preferred and a rejected response to one prompt, the same to another, and one without a counterpart. */
const SEQUENCES: readonly LossSequence[] = [
  { length: 2, row: 4 },
  { length: 3, row: 4 },
  { length: 1, row: 7 },
  { length: 4, row: 9 },
  { length: 2, row: 7 },
];
/** Most tokens of the last but one are the student's. */
const BY_STUDENT = [0, 0, 1, 1, 1, 1, 1, 0, 1, 1, 0, 0];
const vocabulary = 9;
const rows = 12;
const student = Float64Array.from(randomLogits(61, rows * vocabulary, 1.5));
const teacher = randomLogits(62, rows * vocabulary, 2);
const targets = Uint32Array.from({ length: rows }, (_, row) => (5 * row + 2) % vocabulary);
const ENGINES = ["reference", "onnx"] as const;
/** Signals and columns are float32, and on onnx everything is. */
const CLOSE = {
  reference: { rtol: 1e-5, atol: 1e-7 },
  onnx: { rtol: 2e-5, atol: 2e-6 },
} as const;

/** Positions of each sequence. */
const PLACES = SEQUENCES.map(({ length }, at) => {
  const start = SEQUENCES.slice(0, at).reduce((sum, own) => sum + own.length, 0);
  return Array.from({ length }, (_, index) => start + index);
});

function logOf(of: ArrayLike<number>, row: number): number {
  const law = Array.from({ length: vocabulary }, (_, id) => of[row * vocabulary + id]!);
  return law[targets[row]!]! - logSumExp(law);
}

const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;
const rowsOf = (of: ArrayLike<number>, places: readonly number[]) =>
  places.flatMap((row) =>
    Array.from({ length: vocabulary }, (_, id) => of[row * vocabulary + id]!),
  );

function evaluate(
  loss: string,
  options: Readonly<Record<string, unknown>>,
  change: Partial<LossEvaluation> = {},
) {
  const requirement = lossRequirement(loss, options, 0, { ...SIZES, vocabulary });
  return evaluateLoss({
    loss,
    options,
    studentLogits: student,
    vocabulary,
    targets,
    sequences: SEQUENCES,
    byStudent: BY_STUDENT,
    ...signalOfLogits({ vocabulary, teacher, student, targets }, requirement),
    ...change,
  });
}

describe("dpkd of responses, evaluated", () => {
  const beta = 0.7;
  const options = { level: "sequence", beta };

  /** papers.md §6.8 in float64: the mean over both pairs. */
  function expected(logits: ArrayLike<number>): number {
    const ratio = (sequence: number) =>
      mean(PLACES[sequence]!.map((row) => logOf(logits, row) - logOf(teacher, row)));
    const loss = (a: number, b: number) => Math.log1p(Math.exp(-beta * (ratio(a) - ratio(b))));
    return (loss(0, 1) + loss(4, 2)) / 2;
  }

  /** By each of the student's logits, central differences. */
  const gradient = Float64Array.from(student, (x, at) => {
    const moved = (by: number) => expected(student.with(at, x + by));
    return (moved(1e-5) - moved(-1e-5)) / 2e-5;
  });

  for (const engine of ENGINES) {
    it(`is the paper's formula, with its gradient, whatever positions weigh: ${engine}`, async () => {
      for (const weights of [undefined, Array.from({ length: rows }, (_, row) => 1 + (row % 3))]) {
        const own = await evaluate("dpkd", options, { engine, ...(weights && { weights }) });
        assertAllClose([own.value], [expected(student)], CLOSE[engine], "value");
        assertAllClose(own.gradient, gradient, CLOSE[engine], "gradient");
      }
    });
  }

  it("is refused without a pair, saying what makes one", async () => {
    const change = [
      { sequences: undefined },
      { byStudent: undefined },
      { sequences: SEQUENCES.map(({ length }) => ({ length })) },
    ];
    for (const own of change) {
      await assert.rejects(evaluate("dpkd", options, own as Partial<LossEvaluation>), {
        code: "FAILED_PRECONDITION",
        message: /sequences, such as .* and byStudent: 0 at/,
      });
    }
    const nothing = await evaluate("dpkd", options, { weights: new Uint8Array(rows) });
    assert.equal(nothing.value, 0);
  });
});

describe("ces-kd, evaluated", () => {
  const names = ["small", "middle", "large"];
  const teachers = [71, 72, 73].map((seed) => randomLogits(seed, rows * vocabulary, 2));
  const options = { dense: true, shift: 0, teachers: names };
  const signals = Object.fromEntries(
    names.map((name, at) => [
      name,
      { from: 1, count: rows, topK: 0, tauCount: 0, dense: teachers[at]! },
    ]),
  );

  for (const engine of ENGINES) {
    it(`is forward KL to the teacher of each sequence's difficulty: ${engine}`, async () => {
      // 5 sequences by rank and 3 teachers: ⌊3·(rank + ½)/5⌋.
      const difficulty = PLACES.map((places) => -mean(places.map((row) => logOf(student, row))));
      const chosen = difficulty.map(
        (own) => [0, 0, 1, 2, 2][difficulty.filter((other) => other < own).length]!,
      );
      assert.equal(new Set(chosen).size, 3);
      const dense = Float32Array.from(
        PLACES.flatMap((places, sequence) => rowsOf(teachers[chosen[sequence]!]!, places)),
      );
      const own = await evaluate("ces-kd", options, { signals, engine });
      const other = await evaluateRows(
        { loss: "forward-kl", options: { dense: true } },
        { vocabulary, student, teacher: dense, targets },
      );
      assertAllClose(own.perToken, other.perToken, CLOSE[engine], "value");
      assertAllClose(own.gradient, other.gradient, CLOSE[engine], "gradient");
    });
  }
});

describe("distillm-2 with an anchor, evaluated", () => {
  for (const engine of ENGINES) {
    it(`has an α of each sequence: ${engine}`, async () => {
      const anchor = 0.09;
      const own = await evaluate("distillm-2", { dense: true, anchor }, { engine });
      const alphas = PLACES.map((places) => {
        const geometric = (of: ArrayLike<number>) =>
          Math.exp(mean(places.map((row) => logOf(of, row))));
        const sign = mean(places.map((row) => BY_STUDENT[row]!)) > 0.5 ? -1 : 1;
        const gap = sign * (geometric(teacher) - geometric(student)) + 1e-5;
        return Math.min(0.1, Math.max(0.01, 1 - (0.9 * anchor) / gap));
      });
      assert.ok(new Set(alphas).size > 1, `${alphas.join()}`);
      for (const [sequence, places] of PLACES.entries()) {
        const alone = await evaluateRows(
          { loss: "distillm-2", options: { dense: true, alpha: alphas[sequence]! } },
          {
            vocabulary,
            student: Float64Array.from(rowsOf(student, places)),
            teacher: Float32Array.from(rowsOf(teacher, places)),
            byStudent: places.map((row) => BY_STUDENT[row]!),
          },
        );
        const found = places.map((row) => own.perToken[row]!);
        assertAllClose(found, alone.perToken, CLOSE[engine], `sequence ${sequence}`);
        const share = places.length / rows;
        assertAllClose(
          rowsOf(own.gradient, places),
          alone.gradient.map((slope) => slope * share),
          CLOSE[engine],
          `gradient of ${sequence}`,
        );
      }
    });
  }
});

describe("losses within a sequence, evaluated", () => {
  const oldLogProbs = Float32Array.from(targets, (_, row) => logOf(student, row) - 0.1);

  for (const [loss, options] of [
    ["dist", { dense: true, within: 1 }],
    ["minillm", { dense: true, whiten: false }],
  ] as const) {
    it(`see each alone: ${loss}`, async () => {
      const together = await evaluate(loss, options, { oldLogProbs, engine: "reference" });
      const alone = await Promise.all(
        PLACES.map((places) => {
          const known = {
            vocabulary,
            teacher: rowsOf(teacher, places),
            student: rowsOf(student, places),
            targets: Uint32Array.from(places, (row) => targets[row]!),
          };
          return evaluate(loss, options, {
            studentLogits: Float64Array.from(known.student),
            targets: known.targets,
            sequences: [{ length: places.length }],
            byStudent: places.map((row) => BY_STUDENT[row]!),
            oldLogProbs: Float32Array.from(places, (row) => oldLogProbs[row]!),
            ...signalOfLogits(known, lossRequirement(loss, options)),
            engine: "reference",
          });
        }),
      );
      const expected = alone.flatMap(({ perToken }) => [...perToken]);
      assertAllClose(together.perToken, expected, CLOSE.reference);
    });
  }
});
