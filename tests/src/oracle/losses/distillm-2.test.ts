import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertAllClose } from "../../helpers/all-close.js";
import { evaluateRows, randomLogits, softmax } from "./method-rows.js";

const [rows, vocabulary] = [4, 7];
const student = Float64Array.from(randomLogits(41, rows * vocabulary, 1.5));
const teacher = randomLogits(42, rows * vocabulary, 2);
const byStudent = [1, 0, 0, 1];
const EXACT = { rtol: 1e-6, atol: 1e-8 };

describe("distillm-2", () => {
  for (const form of [{ topK: 3 }, { dense: true }]) {
    it(`is skew reverse KL on the student's text and skew forward KL on other text, ${JSON.stringify(form)}`, async () => {
      const at = { vocabulary, student, teacher, byStudent };
      const options = { ...form, alpha: 0.2 };
      const reverse = { loss: "skew-reverse-kl", options: { ...options, detachMixture: true } };
      const [onOwn, onOther, both] = await Promise.all([
        evaluateRows(reverse, at),
        evaluateRows({ loss: "skew-forward-kl", options }, at),
        evaluateRows({ loss: "distillm-2", options: { ...options, balance: 1.25 } }, at),
      ]);
      const mixed = (own: ArrayLike<number>, other: ArrayLike<number>, width: number) =>
        Array.from({ length: own.length }, (_, i) =>
          byStudent[Math.floor(i / width)] === 1 ? 1.25 * own[i]! : 0.75 * other[i]!,
        );
      assertAllClose(both.perToken, mixed(onOwn.perToken, onOther.perToken, 1), EXACT);
      assertAllClose(both.gradient, mixed(onOwn.gradient, onOther.gradient, vocabulary), EXACT);
    });
  }

  it("takes a smaller α where the sides are near each other on the sequence", async () => {
    // The teacher's best ids: it is ahead on them.
    const targets = Uint32Array.from({ length: rows }, (_, row) => {
      const own = teacher.subarray(row * vocabulary, (row + 1) * vocabulary);
      return own.indexOf(Math.max(...own));
    });
    const logOf = (of: ArrayLike<number>, row: number) => {
      const own = Array.from({ length: vocabulary }, (_, id) => of[row * vocabulary + id]!);
      return Math.log(softmax(own)[targets[row]!]!);
    };
    const geometric = (of: ArrayLike<number>) =>
      Math.exp([0, 1, 2, 3].reduce((sum, row) => sum + logOf(of, row), 0) / rows);
    const gap = geometric(teacher) - geometric(student);
    // All four positions are one sequence, here of the other author; with the right anchor α lies between its bounds.
    const anchor = (0.95 / 0.9) * Math.abs(gap + 1e-5);
    const alpha = 1 - (0.9 * anchor) / (gap + 1e-5);
    const at = { vocabulary, student, teacher, targets, byStudent: [0, 0, 0, 0] };
    const adaptive = await evaluateRows(
      { loss: "distillm-2", options: { dense: true, anchor } },
      at,
    );
    const plain = await evaluateRows(
      { loss: "skew-forward-kl", options: { dense: true, alpha } },
      at,
    );
    assert.ok(gap > 0 && alpha > 0.01 && alpha < 0.1, `α ${alpha}, gap ${gap}`);
    assertAllClose(adaptive.perToken, plain.perToken, { rtol: 1e-5, atol: 1e-7 });
  });
});
