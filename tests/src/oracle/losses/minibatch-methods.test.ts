import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertAllClose } from "../../helpers/all-close.js";
import { evaluateRows } from "./method-rows.js";

const EXACT = { rtol: 1e-6, atol: 1e-7 };

/** Rows over three ids in which the teacher gives the target, id 0, these probabilities, the others share the rest 3 : 1. */
function teacherRows(ofTarget: readonly number[]): Float32Array {
  return Float32Array.from(
    ofTarget.flatMap((p) => [Math.log(p), Math.log((1 - p) * 0.75), Math.log((1 - p) * 0.25)]),
  );
}

describe("atkd", () => {
  const ofTarget = [0.9, 0.2, 0.6, 0.5];
  const rows = {
    vocabulary: 3,
    student: new Float64Array(12),
    teacher: teacherRows(ofTarget),
    targets: new Uint32Array(4),
  };
  // Student uniform: DKD = KL((¾,¼) ‖ (½,½)), TKD = KL((p, 1−p) ‖ (⅓, ⅔)).
  const dkd = 0.75 * Math.log(1.5) + 0.25 * Math.log(0.5);
  const tkd = ofTarget.map((p) => p * Math.log(p * 3) + (1 - p) * Math.log((1 - p) * 1.5));

  it("halves the minibatch at the lower median of 1 − p and normalises each half by its own count", async () => {
    // 1 − p: 0.1, 0.8, 0.4, 0.5; the lower median is 0.4, which is hard: 1 easy, 3 hard.
    const hard = [1, 2, 3].reduce((sum, row) => sum + tkd[row]! + dkd, 0) / 3;
    const { value } = await evaluateRows({ loss: "atkd", options: { topK: 2 } }, rows);
    assertAllClose([value], [0.2 * dkd + 0.8 * hard], EXACT);
  });

  it("does not count masked positions", async () => {
    // Left: 0.4 and 0.8; the lower median 0.4 is hard, nothing is easy.
    const hard = (tkd[1]! + tkd[2]!) / 2 + dkd;
    const weights = [0, 1, 1, 0];
    const { value } = await evaluateRows(
      { loss: "atkd", options: { topK: 2 } },
      { ...rows, weights },
    );
    assertAllClose([value], [0.8 * hard], EXACT);
  });
});

describe("speckd", () => {
  const student = Float64Array.of(2, 0, 0, 0, 2, 0, 0, 0, 2);
  const teacher = teacherRows([0.6, 0.6, 0.6]);
  const rows = { vocabulary: 3, student, teacher, targets: Uint32Array.of(2, 0, 1) };

  it("keeps the positions where the student's best id is among the teacher's first ones", async () => {
    // Teacher's order: 0, 1, 2. The student's best: 0, 1, 2.
    const all = await evaluateRows({ loss: "forward-kl", options: { topK: 2 } }, rows);
    const kept = await evaluateRows({ loss: "speckd", options: { topK: 2, rank: 2 } }, rows);
    const expected = [all.perToken[0]! * 1.5, all.perToken[1]! * 1.5, 0];
    assertAllClose(kept.perToken, expected, EXACT);
  });

  it("or those where the token that stands there is", async () => {
    const options = { topK: 2, rank: 1, proposal: "token" };
    const { perToken } = await evaluateRows({ loss: "speckd", options }, rows);
    assert.deepEqual(
      Array.from(perToken, (x) => x > 0),
      [false, true, false],
    );
  });

  it("or weighs every position by the chance that its token would be accepted as a draft", async () => {
    const options = { topK: 2, proposal: "token", acceptance: "ratio" };
    const all = await evaluateRows({ loss: "forward-kl", options: { topK: 2 } }, rows);
    const { perToken } = await evaluateRows({ loss: "speckd", options }, rows);
    // p of the tokens 2, 0, 1: 0.1, 0.6, 0.3; q: eˣ/(e² + 2) with x = 0, 0, 0 at tokens that are not the best ones, 2, 0, 1 at rows 0, 1, 2.
    const q = 1 / (Math.exp(2) + 2);
    const weights = [0.1, 0.6, 0.3].map((p) => Math.min(1, p / q));
    const sum = weights.reduce((a, b) => a + b, 0);
    assertAllClose(
      perToken,
      weights.map((weight, row) => (3 * weight * all.perToken[row]!) / sum),
      EXACT,
    );
  });

  it("is 0 where nothing is accepted", async () => {
    const options = { topK: 2, rank: 1, proposal: "token" };
    const none = { ...rows, targets: Uint32Array.of(2, 2, 1) };
    assert.equal((await evaluateRows({ loss: "speckd", options }, none)).value, 0);
  });
});

describe("cross-entropy", () => {
  const rows = {
    vocabulary: 3,
    student: Float64Array.of(2, 0, 0, 0, 2, 0, 0, 0, 2, 1, 0, 0),
    teacher: teacherRows([0.5, 0.5, 0.5, 0.5]),
    targets: Uint32Array.of(0, 0, 2, 1),
    byStudent: [0, 1, 1, 0],
  };

  it("of others is the mean over what the student did not write, with no gradient elsewhere", async () => {
    const own = await evaluateRows({ loss: "cross-entropy", options: { of: "others" } }, rows);
    const [first, last] = [Math.log(Math.exp(2) + 2) - 2, Math.log(Math.E + 2)];
    assertAllClose([own.value], [(first + last) / 2], EXACT);
    assertAllClose(own.gradient.slice(3, 9), new Float64Array(6), EXACT);
  });

  it("of others is 0 where the student wrote everything", async () => {
    const all = { ...rows, byStudent: [1, 1, 1, 1] };
    const own = await evaluateRows({ loss: "cross-entropy", options: { of: "others" } }, all);
    assert.equal(own.value, 0);
  });
});

describe("dpkd", () => {
  it("is log 2 without a gradient where teacher and student agree on the best id", async () => {
    const { value, gradient } = await evaluateRows(
      { loss: "dpkd" },
      { vocabulary: 3, student: Float64Array.of(0, 3, 1), teacher: Float32Array.of(2, 9, 4) },
    );
    assertAllClose([value], [Math.LN2], { rtol: 1e-12, atol: 0 });
    assert.deepEqual(gradient.map(Math.abs), new Float64Array(3));
  });
});
