import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertAllClose } from "../../helpers/all-close.js";
import { evaluateRows, softmax } from "./method-rows.js";

describe("sampled-reverse-kl", () => {
  const vocabulary = 5;
  const v = [0.3, -1, 2, 0, 0.5];
  const u = [1, 0.5, -0.5, 2, -2];
  const repeated = (row: readonly number[], times: number) =>
    Float32Array.from({ length: vocabulary * times }, (_, at) => row[at % vocabulary]!);
  const everyToken = {
    vocabulary,
    student: repeated(v, vocabulary),
    teacher: repeated(u, vocabulary),
    targets: Uint32Array.from([0, 1, 2, 3, 4]),
  };

  it("has in expectation over the student's samples value and gradient of reverse KL", async () => {
    const weights = softmax(v); // the chance with which the student writes each token
    const sampled = await evaluateRows({ loss: "sampled-reverse-kl" }, { ...everyToken, weights });
    const exact = await evaluateRows(
      { loss: "reverse-kl", options: { dense: true } },
      { vocabulary, student: repeated(v, 1), teacher: repeated(u, 1) },
    );
    const expectation = Array.from({ length: vocabulary }, (_, id) =>
      sampled.gradient.reduce((sum, x, at) => (at % vocabulary === id ? sum + x : sum), 0),
    );
    // The signal is float32.
    assertAllClose([sampled.value], [exact.value], { rtol: 1e-6, atol: 1e-7 });
    assertAllClose(expectation, exact.gradient, { rtol: 1e-6, atol: 1e-7 });
  });

  it("takes its mean over the student's own tokens", async () => {
    const byStudent = [1, 0, 0, 1, 0];
    const { perToken, value } = await evaluateRows(
      { loss: "sampled-reverse-kl" },
      { ...everyToken, byStudent },
    );
    const all = await evaluateRows({ loss: "sampled-reverse-kl" }, everyToken);
    assert.equal(Math.abs(perToken[1]!), 0);
    assertAllClose([value], [(all.perToken[0]! + all.perToken[3]!) / 2], { rtol: 1e-12, atol: 0 });
  });

  it("pushes down a token that the student likes better than the teacher", async () => {
    const { gradient } = await evaluateRows(
      { loss: "sampled-reverse-kl" },
      { vocabulary, student: repeated(v, 1), teacher: repeated(u, 1), targets: Uint32Array.of(2) },
    );
    assert.ok(gradient[2]! > 0, "descent lowers its logit");
  });
});
