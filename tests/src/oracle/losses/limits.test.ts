import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { serializeGraph } from "@tandem/shared/onnx/serialize.js";
import { createOrtSession } from "@tandem/shared/runtime/ort-session.js";
import { assertAllClose } from "../../helpers/all-close.js";
import {
  buildLossGraph,
  lossFeeds,
  readLossFixture,
  type LossCase,
  type LossFixture,
} from "./loss-fixture.js";

const fixture = await readLossFixture(11);
const { vocabulary, rows, student, teacher } = fixture;

function logSumExp(values: readonly number[]): number {
  const largest = Math.max(...values);
  if (largest === -Infinity) return largest;
  return largest + Math.log(values.reduce((sum, value) => sum + Math.exp(value - largest), 0));
}

/** Value and gradient of one loss with given logits; the teacher's normalisers are computed here, in float64. */
async function evaluate(loss: LossCase, v: Float32Array, u: Float32Array) {
  const tau = loss.temperature ?? 1;
  const lse = Array.from({ length: rows }, (_, row) =>
    Array.from(u.subarray(row * vocabulary, (row + 1) * vocabulary)).sort((a, b) => b - a),
  );
  const tensors = new Map([
    ["lse.1.0", Float32Array.from(lse, (sorted) => logSumExp(sorted))],
    [`lse.${tau}`, Float32Array.from(lse, (sorted) => logSumExp(sorted.map((x) => x / tau)))],
    [
      "0.logTail",
      Float32Array.from(lse, (sorted) => {
        const cooled = sorted.map((x) => x / tau);
        return loss.topK === vocabulary
          ? -Infinity
          : logSumExp(cooled.slice(loss.topK)) - logSumExp(cooled);
      }),
    ],
  ]);
  const own: LossFixture = { ...fixture, student: v, teacher: u, cases: [loss], tensors };
  const session = await createOrtSession(serializeGraph(buildLossGraph([loss], rows, vocabulary)), {
    threads: 1,
  });
  const results = await session.run(lossFeeds(own, 0), ["perToken", "gradient"]);
  await session.close();
  return {
    value: results["perToken"]!.data as Float32Array,
    gradient: results["gradient"]!.data as Float32Array,
  };
}

const DIVERGENCES: readonly LossCase[] = ["forward-kl", "reverse-kl", "generalized-jsd"].flatMap(
  (name) =>
    [{}, { temperature: 2.5 }].flatMap((temperature) => [
      { name, topK: 4, ...temperature },
      { name, dense: true, ...temperature },
    ]),
);

describe("a divergence", () => {
  for (const loss of DIVERGENCES) {
    it(`vanishes with its gradient when teacher and student agree: ${JSON.stringify(loss)}`, async () => {
      const { value, gradient } = await evaluate(loss, student, student);
      assertAllClose(value, new Float32Array(rows), { rtol: 0, atol: 2e-6 });
      assertAllClose(gradient, new Float32Array(rows * vocabulary), { rtol: 0, atol: 2e-6 });
    });

    it(`is never negative: ${JSON.stringify(loss)}`, async () => {
      const { value } = await evaluate(loss, student, teacher);
      assert.ok(
        value.every((x) => x >= -2e-6),
        Array.from(value).join(),
      );
    });

    it(`stays finite at extremes: ${JSON.stringify(loss)}`, async () => {
      // One id has everything; all but one are impossible; a student far beyond what f32 can exponentiate.
      const [v, u] = [student.slice(), teacher.slice()];
      u.fill(-Infinity, 0, vocabulary);
      u[3] = 0;
      v.fill(-300, vocabulary, 2 * vocabulary);
      v[vocabulary + 1] = 300;
      u.fill(-3e4, 2 * vocabulary, 3 * vocabulary);
      u[2 * vocabulary] = 3e4;
      const { value, gradient } = await evaluate(loss, v, u);
      assert.ok(value.every(Number.isFinite), Array.from(value).join());
      assert.ok(gradient.every(Number.isFinite));
    });
  }

  for (const name of ["forward-kl", "reverse-kl", "generalized-jsd"]) {
    it(`${name} with a list of all ids is the dense one`, async () => {
      const list = await evaluate({ name, topK: vocabulary, temperature: 2.5 }, student, teacher);
      const dense = await evaluate({ name, dense: true, temperature: 2.5 }, student, teacher);
      assertAllClose(list.value, dense.value, { rtol: 1e-5, atol: 1e-5 });
      assertAllClose(list.gradient, dense.gradient, { rtol: 1e-5, atol: 1e-5 });
    });

    it(`${name} with a shorter list is a lower bound, since merging atoms never raises it`, async () => {
      // Without impossible ids, whose logarithm is a convention.
      const possible = teacher.map((x) => Math.max(x, -20));
      const dense = await evaluate({ name, dense: true }, student, possible);
      let above = dense.value;
      for (const topK of [10, 7, 4, 1]) {
        const { value } = await evaluate({ name, topK }, student, possible);
        value.forEach((x, row) =>
          assert.ok(x <= above[row]! * (1 + 1e-5) + 1e-5, `topK ${topK}, row ${row}`),
        );
        above = value;
      }
    });
  }

  it("JSD(β) near its ends is β·KL and (1−β)·KL, not the full ones of the ends", async () => {
    // Finite logits of moderate size: the expansion needs p/q·β ≪ 1.
    const [v, u] = [
      student.map((x) => x / 4),
      teacher.map((x) => (Number.isFinite(x) ? x / 8 : 0)),
    ];
    v[4 * vocabulary + 1] = 0;
    u[4 * vocabulary + 2] = 0;
    const forward = await evaluate({ name: "forward-kl", dense: true }, v, u);
    const reverse = await evaluate({ name: "reverse-kl", dense: true }, v, u);
    const beta = 1e-3;
    const low = await evaluate({ name: "generalized-jsd", dense: true, beta }, v, u);
    const high = await evaluate({ name: "generalized-jsd", dense: true, beta: 1 - beta }, v, u);
    const scaled = (values: Float32Array) => values.map((x) => x * beta);
    assertAllClose(low.value, scaled(forward.value), { rtol: 0.02, atol: 3e-7 });
    assertAllClose(high.value, scaled(reverse.value), { rtol: 0.02, atol: 3e-7 });
  });
});
