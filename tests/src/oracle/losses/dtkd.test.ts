import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { lossRequirement } from "@tandem/student-trainer";
import { ReferenceOps } from "@tandem/student-trainer/engines/reference/reference-ops.js";
import { referenceTensor } from "@tandem/student-trainer/engines/reference/reference-tensor.js";
import { equalSharpness } from "@tandem/student-trainer/losses/equal-sharpness.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { logSumExp } from "../../helpers/signal-of-logits.js";
import { evaluateRows, randomLogits } from "./method-rows.js";

const [rows, vocabulary] = [4, 8];
const student = Float64Array.from(randomLogits(5, rows * vocabulary, 1));
const teacher = randomLogits(6, rows * vocabulary, 3);
const F32 = { rtol: 1e-5, atol: 1e-6 };

describe("dtkd", () => {
  for (const mode of ["released", "detached", "solved"] as const) {
    it(`does not see what is added to all logits: ${mode}`, async () => {
      const at = (shift: number) =>
        evaluateRows(
          { loss: "dtkd", options: { mode } },
          {
            vocabulary,
            student: student.map((x) => x - shift),
            teacher: teacher.map((x) => x + shift),
          },
        );
      const [plain, shifted] = [await at(0), await at(6)];
      assertAllClose(shifted.perToken, plain.perToken, F32);
      assertAllClose(shifted.gradient, plain.gradient, F32);
    });
  }

  it("equals distillation at τ, twice, where both maxima are equal", async () => {
    // A permutation of the teacher's logits has its maximum.
    const turned = Float64Array.from(student, (_, at) => {
      const row = Math.floor(at / vocabulary);
      return teacher[row * vocabulary + ((at + 1) % vocabulary)]!;
    });
    const options = { temperature: 3, alpha: 1, beta: 1 };
    const own = await evaluateRows(
      { loss: "dtkd", options },
      { vocabulary, student: turned, teacher },
    );
    const plain = await evaluateRows(
      { loss: "forward-kl", options: { dense: true, temperature: 3 } },
      { vocabulary, student: turned, teacher },
    );
    assertAllClose(
      own.perToken,
      plain.perToken.map((x) => 2 * 9 * x),
      F32,
    );
  });

  it("is the dense one with a list of all ids, at temperatures of each position", async () => {
    const rows = { vocabulary, student, teacher };
    const dense = await evaluateRows({ loss: "dtkd" }, rows);
    for (const beta of [0, 1]) {
      const list = await evaluateRows(
        { loss: "dtkd", options: { dense: false, topK: vocabulary, beta } },
        rows,
      );
      const whole = await evaluateRows({ loss: "dtkd", options: { beta } }, rows);
      assertAllClose(list.perToken, whole.perToken, F32);
      assertAllClose(list.gradient, whole.gradient, F32);
    }
    assert.ok(dense.value > 0);
  });

  it("is a lower bound of it with a shorter list", async () => {
    const rows = { vocabulary, student, teacher };
    let above = (await evaluateRows({ loss: "dtkd" }, rows)).perToken;
    for (const topK of [6, 3, 1]) {
      const { perToken } = await evaluateRows(
        { loss: "dtkd", options: { dense: false, topK } },
        rows,
      );
      perToken.forEach((x, row) =>
        assert.ok(x <= above[row]! + 1e-5, `topK ${topK}, row ${row}: ${x} > ${above[row]}`),
      );
      above = perToken;
    }
  });

  it("refuses what a list cannot give exactly", () => {
    for (const options of [{ mode: "released" }, { mode: "solved" }, { centred: false }]) {
      assert.throws(
        () => lossRequirement("dtkd", { dense: false, ...options }),
        /set mode: detached/,
      );
    }
  });

  it("keeps the gradient out of the temperatures unless released", async () => {
    // With alpha alone and the temperatures constant, the gradient of KL(p‖softmax(v/T)) sums to 0 over ids; so does the released one after
    // centring, but it differs.
    const gradientOf = async (mode: string) =>
      (
        await evaluateRows(
          { loss: "dtkd", options: { mode, beta: 0 } },
          { vocabulary, student, teacher },
        )
      ).gradient;
    const [released, detached] = [await gradientOf("released"), await gradientOf("detached")];
    const distance = Math.hypot(...released.map((x, at) => x - detached[at]!));
    assertAllClose([Math.sign(distance - 1e-3)], [1], { rtol: 0, atol: 0 });
  });
});

describe("equalSharpness", () => {
  const ops = new ReferenceOps();
  const centred = (values: ArrayLike<number>) => {
    const list = Array.from(values);
    const mean = list.reduce((a, b) => a + b, 0) / list.length;
    return list.map((x) => x - mean);
  };

  it("finds temperatures that add up to 2τ and equalise log Σ exp", () => {
    const u = centred(teacher.subarray(0, vocabulary));
    const v = centred(student.subarray(0, vocabulary));
    const shape = [1, vocabulary];
    const pair = equalSharpness(
      ops,
      { u: referenceTensor(u, shape), v: referenceTensor(v, shape) },
      { temperature: ops.scalar(4), floor: 0.01 },
    );
    const [t, s] = [pair.teacher.data[0]!, pair.student.data[0]!];
    assertAllClose([t + s], [8], { rtol: 1e-12, atol: 0 });
    const sharpness = (z: readonly number[], by: number) => logSumExp(z.map((x) => x / by));
    // 24 halvings of an interval of 8.
    assertAllClose([sharpness(u, t)], [sharpness(v, s)], { rtol: 1e-5, atol: 0 });
  });

  it("takes τ twice where both are uniform", () => {
    const flat = referenceTensor(Array<number>(vocabulary).fill(0), [1, vocabulary]);
    const pair = equalSharpness(
      ops,
      { u: flat, v: flat },
      { temperature: ops.scalar(4), floor: 0.25 },
    );
    assertAllClose([pair.teacher.data[0]!, pair.student.data[0]!], [4, 4], { rtol: 0, atol: 0 });
  });
});
