import { describe, it } from "node:test";
import { lossBlockRows } from "@tandem/student-trainer/training/row-blocks.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { evaluateRows, randomLogits } from "../../oracle/losses/method-rows.js";

const [rows, vocabulary] = [70, 1100];
const student = randomLogits(31, rows * vocabulary, 1.5);
const teacher = randomLogits(32, rows * vocabulary, 2);

describe("a position's loss", () => {
  for (const options of [{ topK: 8 }, { dense: true }]) {
    const size = lossBlockRows(vocabulary, { dense: "dense" in options });
    it(`does not depend on the other positions of its block of ${size}: ${JSON.stringify(options)}`, async () => {
      const choice = { loss: "generalized-jsd", options };
      const engine = "onnx" as const;
      const all = await evaluateRows(choice, { vocabulary, student, teacher, engine });
      for (const row of [0, 31, 32, 69]) {
        const own = (of: Float32Array) => of.slice(row * vocabulary, (row + 1) * vocabulary);
        const alone = await evaluateRows(choice, {
          vocabulary,
          student: own(student),
          teacher: own(teacher),
          engine,
        });
        assertAllClose([all.perToken[row]!], alone.perToken, { rtol: 1e-6, atol: 1e-7 });
        const gradient = all.gradient.slice(row * vocabulary, (row + 1) * vocabulary);
        const scaled = gradient.map((x) => x * rows);
        assertAllClose(scaled, alone.gradient, { rtol: 1e-5, atol: 1e-9 });
      }
    });
  }
});
