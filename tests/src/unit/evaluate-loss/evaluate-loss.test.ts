import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  evaluateLoss,
  listLosses,
  lossRequirement,
  type LossEvaluation,
} from "@tandem/student-trainer";
import {
  describeRequirement,
  plainBytes,
} from "@tandem/student-trainer/evaluate-loss/describe-requirement.js";
import { assertAllClose } from "../../helpers/all-close.js";

const given: LossEvaluation = {
  loss: "cross-entropy",
  studentLogits: Float32Array.of(0, Math.log(3), 0, 0),
  vocabulary: 2,
  targets: Uint32Array.of(1, 0),
};

async function refused(change: Partial<LossEvaluation>, code: string, message: RegExp) {
  await assert.rejects(evaluateLoss({ ...given, ...change }), { code, message });
}

describe("evaluateLoss", () => {
  for (const engine of ["onnx", "reference"] as const) {
    it(`gives the weighted mean, each position's value and the mean's gradient: ${engine}`, async () => {
      const weights = [1, 3];
      const { value, perToken, gradient } = await evaluateLoss({ ...given, weights, engine });
      // −log(3/4) and −log(1/2); q − target, times ¼ and ¾.
      const expected = [Math.log(4 / 3), Math.log(2)];
      const close = { rtol: 1e-6, atol: 1e-7 };
      assertAllClose(perToken, expected, close);
      assertAllClose([value], [expected[0]! / 4 + (3 * expected[1]!) / 4], close);
      assertAllClose(gradient, [0.0625, -0.0625, -0.375, 0.375], close);
    });

    it(`evaluates a single position: ${engine}`, async () => {
      const one = { studentLogits: Float32Array.of(0, 0), targets: Uint32Array.of(1) };
      const { value, gradient } = await evaluateLoss({ ...given, ...one, engine });
      assertAllClose([value, ...gradient], [Math.LN2, 0.5, -0.5], { rtol: 1e-6, atol: 1e-7 });
    });
  }

  it("refuses a signal that lacks what the loss reads", async () => {
    await refused({ loss: "forward-kl", options: { topK: 2 } }, "FAILED_PRECONDITION", /signal/);
    const signal = { from: 1, count: 2, topK: 0, tauCount: 0 };
    await refused(
      { loss: "atkd", options: { topK: 1 }, signal },
      "FAILED_PRECONDITION",
      /teacher's logit of the token/,
    );
    await refused({ loss: "dtkd", signal }, "FAILED_PRECONDITION", /dense/);
    const options = { mode: "solved", centred: false };
    await refused({ loss: "dtkd", options, signal }, "INVALID_ARGUMENT", /centred/);
  });

  it("follows schedules", async () => {
    const dense = Float32Array.of(1, 0, 0, 2);
    const signal = { from: 1, count: 2, topK: 0, tauCount: 0, dense };
    const at = (psi: number | object, progress: number) =>
      evaluateLoss({
        ...given,
        loss: "continuation-kd",
        options: { phi: 1, psi },
        signal,
        progress,
        engine: "reference",
      });
    const moving = await at({ kind: "linear", from: 0, to: 1 }, 0.25);
    assert.equal(moving.value, (await at(0.25, 0)).value);
  });
});

describe("listLosses", () => {
  it("knows every option with its default and what it is for", () => {
    const losses = listLosses();
    const named = (name: string) => losses.find((loss) => loss.name === name)!;
    const defaults = (name: string) =>
      Object.fromEntries(named(name).options.map((option) => [option.name, option.default]));
    assert.deepEqual(defaults("generalized-jsd"), {
      topK: 64,
      topPMass: 1,
      dense: false,
      temperature: 1,
      beta: 0.5,
    });
    for (const { name, options } of losses) {
      for (const option of options) {
        assert.ok(option.default !== undefined, `${name}.${option.name} has a default`);
        assert.ok(option.description.length > 0, option.name);
      }
    }
  });
});

describe("what a loss asks for", () => {
  it("in words and in bytes of a position", () => {
    const losses = new Map(listLosses().map(({ name, requires }) => [name, requires]));
    const of = (name: string) => [
      describeRequirement(losses.get(name)!),
      plainBytes(losses.get(name)!, 1000, { width: 768 }),
    ];
    assert.deepEqual(of("cross-entropy"), ["nothing", 0]);
    assert.deepEqual(of("dtkd"), ["all V logits", 4000]);
    assert.deepEqual(of("dpkd"), [
      "top 1 as log-probabilities, logits at the student's best 1",
      20,
    ]);
    const { spec } = lossRequirement("reverse-kl", { topK: 8, temperature: 2 });
    assert.deepEqual([spec.topK, spec.taus], [8, [2]]);
  });
});
