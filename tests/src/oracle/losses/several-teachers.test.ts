import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { evaluateLoss, lossRequirement, type LossValue } from "@tandem/student-trainer";
import { LossSet, lossesSchema } from "@tandem/student-trainer/losses/loss-set.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { signalOfLogits } from "../../helpers/signal-of-logits.js";
import { evaluateRows, randomLogits, softmax } from "./method-rows.js";

const [rows, vocabulary] = [5, 9];
const student = randomLogits(51, rows * vocabulary, 1.5);
const teachers = [52, 53, 54].map((seed) => randomLogits(seed, rows * vocabulary, 2));
const names = ["small", "middle", "large"];
const targets = Uint32Array.from({ length: rows }, (_, row) => (3 * row) % vocabulary);
const rowOf = (of: Float32Array, row: number) =>
  Array.from(of.subarray(row * vocabulary, (row + 1) * vocabulary));
const EXACT = { rtol: 1e-5, atol: 1e-6 };

function evaluate(loss: string, options: Readonly<Record<string, unknown>>): Promise<LossValue> {
  const { named } = lossRequirement(loss, { ...options, teachers: names });
  const { spec } = named![names[0]!]!;
  const signals = teachers.map((teacher) => {
    const known = { vocabulary, teacher, student, targets };
    return signalOfLogits(known, { spec, studentTopK: 0 }).signal;
  });
  return evaluateLoss({
    loss,
    options: { ...options, teachers: names },
    studentLogits: student,
    vocabulary,
    targets,
    signals: Object.fromEntries(names.map((name, at) => [name, signals[at]!])),
    engine: "reference",
  });
}

/** The log of the mixture, by float64 loops, as one teacher's logits. */
function mixtureLogits(weights: (row: number) => readonly number[]): Float32Array {
  const laws = Array.from({ length: rows }, (_, row) => {
    const p = teachers.map((teacher) => softmax(rowOf(teacher, row)));
    return Array.from({ length: vocabulary }, (__, id) =>
      Math.log(weights(row).reduce((sum, w, at) => sum + w * p[at]![id]!, 0)),
    );
  });
  return Float32Array.from(laws.flat());
}

const normalised = (scores: readonly number[]) =>
  scores.map((score) => score / scores.reduce((sum, x) => sum + x, 0));
const entropyOf = (law: readonly number[]) => -law.reduce((sum, p) => sum + p * Math.log(p), 0);

const WEIGHTS = {
  equal: () => [1 / 3, 1 / 3, 1 / 3],
  confidence: (row: number) =>
    normalised(teachers.map((u) => Math.exp(-2 * entropyOf(softmax(rowOf(u, row)))))),
  token: (row: number) =>
    normalised(teachers.map((u) => softmax(rowOf(u, row))[targets[row]!]! ** 2)),
} as const;

describe("teacher-mixture", () => {
  for (const weights of ["equal", "confidence", "token"] as const) {
    for (const divergence of ["forward-kl", "reverse-kl"]) {
      it(`dense, ${weights}: is the ${divergence} to the mixture`, async () => {
        const own = await evaluate("teacher-mixture", {
          dense: true,
          weights,
          divergence,
          sharpness: 2,
        });
        const teacher = mixtureLogits(WEIGHTS[weights]);
        const expected = await evaluateRows(
          { loss: divergence, options: { dense: true } },
          { vocabulary, student, teacher, targets },
        );
        assertAllClose(own.perToken, expected.perToken, EXACT, "value");
        assertAllClose(own.gradient, expected.gradient, EXACT, "gradient");
      });
    }

    it(`with lists, ${weights}: has the mixture's gradient and more than its value`, async () => {
      const options = { weights, sharpness: 2 };
      const list = await evaluate("teacher-mixture", { ...options, topK: vocabulary });
      const dense = await evaluate("teacher-mixture", { ...options, dense: true });
      assertAllClose(list.gradient, dense.gradient, EXACT, "gradient");
      list.perToken.forEach((value, row) => assert.ok(value > dense.perToken[row]!));
    });
  }

  it("takes a number for each teacher", async () => {
    const own = await evaluate("teacher-mixture", { dense: true, weights: [2, 0, 6] });
    const expected = await evaluateRows(
      { loss: "forward-kl", options: { dense: true } },
      { vocabulary, student, teacher: mixtureLogits(() => [0.25, 0, 0.75]), targets },
    );
    assertAllClose(own.perToken, expected.perToken, EXACT);
    await assert.rejects(
      async () => evaluate("teacher-mixture", { dense: true, weights: [1, 2] }),
      /for 3 teachers/,
    );
  });

  it("refuses reverse KL to a mixture of lists", () => {
    assert.throws(
      () =>
        new LossSet(lossesSchema.parse([{ name: "teacher-mixture", divergence: "reverse-kl" }])),
      /needs dense: true/,
    );
  });
});

describe("ces-kd", () => {
  const losses = new LossSet(
    lossesSchema.parse([{ name: "ces-kd", dense: true, teachers: names, shift: 0 }]),
  );
  const known = (sequence: number, row: number) => ({
    coefficient: 1,
    byStudent: true,
    signal: undefined,
    row,
    token: 0,
    dataRow: 0,
    sequence,
    atIds: undefined,
  });

  it("gives the harder sequences to the larger teachers", () => {
    // Means 3, 1, 2 of sequences 7, 8, 9.
    const positions = [known(7, 0), known(8, 0), known(7, 1), known(9, 0)];
    const [chosen] = losses.columns(
      { positions: positions as never, probes: [[2, 1, 4, 2]] },
      {
        progress: 0,
        parameters: [],
      },
    );
    assert.deepEqual([...chosen!], [2, 0, 2, 1]);
  });

  it("moves all to the larger ones with the schedule", () => {
    const shifted = new LossSet(
      lossesSchema.parse([{ name: "ces-kd", dense: true, teachers: names }]),
    );
    const positions = [known(7, 0), known(8, 0), known(9, 0)] as never;
    const at = (progress: number) => [
      ...shifted.columns({ positions, probes: [[3, 1, 2]] }, { progress, parameters: [] })[0]!,
    ];
    // Difficulties 5/6, 1/6, 3/6, moved by −½ and by ½.
    assert.deepEqual(at(0), [1, 0, 0]);
    assert.deepEqual(at(1), [2, 2, 2]);
  });

  it("is forward KL to the chosen teacher", async () => {
    for (const [shift, teacher] of [
      [-1, 0],
      [0, 1],
      [1, 2],
    ] as const) {
      const own = await evaluate("ces-kd", { dense: true, shift });
      const expected = await evaluateRows(
        { loss: "forward-kl", options: { dense: true } },
        { vocabulary, student, teacher: teachers[teacher]!, targets },
      );
      assertAllClose(own.perToken, expected.perToken, EXACT);
      assertAllClose(own.gradient, expected.gradient, EXACT);
    }
  });
});
