import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { lossRequirement } from "@tandem/student-trainer";
import { assertAllClose } from "../../helpers/all-close.js";
import { evaluateRows, randomLogits, softmax } from "./method-rows.js";

const [rows, vocabulary] = [5, 6];
const student = Float64Array.from(randomLogits(61, rows * vocabulary, 1.5));
const teacher = randomLogits(62, rows * vocabulary, 2);
const options = { dense: true, between: 0, within: 2 };

function pearson(x: readonly number[], y: readonly number[]): number {
  const mean = (of: readonly number[]) => of.reduce((a, b) => a + b, 0) / of.length;
  const [a, b] = [x.map((own) => own - mean(x)), y.map((own) => own - mean(y))];
  const dot = (p: readonly number[], q: readonly number[]) =>
    p.reduce((sum, own, at) => sum + own * q[at]!, 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

describe("dist within classes", () => {
  it("correlates each id's probabilities over the positions of the sequence", async () => {
    const laws = (of: ArrayLike<number>) =>
      Array.from({ length: rows }, (_, row) =>
        softmax(Array.from({ length: vocabulary }, (__, id) => of[row * vocabulary + id]!)),
      );
    const [q, p] = [laws(student), laws(teacher)];
    const column = (of: number[][], id: number) => of.map((law) => law[id]!);
    const ids = Array.from({ length: vocabulary }, (_, id) => id);
    const rho = ids.map((id) => pearson(column(q, id), column(p, id)));
    const expected = 2 * (1 - rho.reduce((a, b) => a + b, 0) / vocabulary);
    const { perToken } = await evaluateRows(
      { loss: "dist", options },
      { vocabulary, student, teacher },
    );
    assertAllClose(perToken, Array<number>(rows).fill(expected), { rtol: 1e-6, atol: 1e-8 });
  });

  it("has the gradient of central differences", async () => {
    const choice = { loss: "dist", options: { ...options, between: 1 } };
    const { gradient } = await evaluateRows(choice, { vocabulary, student, teacher });
    const step = 1e-5;
    const differences = [];
    for (const at of student.keys()) {
      const moved = (by: number) => student.with(at, student[at]! + by);
      const [up, down] = await Promise.all(
        [step, -step].map((by) =>
          evaluateRows(choice, { vocabulary, student: moved(by), teacher }),
        ),
      );
      differences.push((up!.value - down!.value) / (2 * step));
    }
    assertAllClose(gradient, differences, { rtol: 1e-6, atol: 1e-8 });
  });

  it("is 1 where nothing changes along the text", async () => {
    const same = (of: ArrayLike<number>) =>
      Float32Array.from({ length: rows * vocabulary }, (_, at) => of[at % vocabulary]!);
    const { perToken, gradient } = await evaluateRows(
      { loss: "dist", options: { ...options, within: 1 } },
      { vocabulary, student: same(student), teacher: same(teacher), engine: "onnx" },
    );
    assertAllClose(perToken, Array<number>(rows).fill(1), { rtol: 1e-6, atol: 0 });
    assert.ok(gradient.every((x) => Math.abs(x) < 1e-6));
  });

  it("refuses a list, in which positions hold different ids", () => {
    assert.throws(() => lossRequirement("dist", { within: 1 }), /set dense: true/);
  });
});
