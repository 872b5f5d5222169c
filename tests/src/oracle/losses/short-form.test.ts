import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { evaluateLoss } from "@tandem/student-trainer/evaluate-loss/evaluate-loss.js";
import { singleLoss } from "@tandem/student-trainer/evaluate-loss/single-loss.js";
import { LossSet, lossesSchema } from "@tandem/student-trainer/losses/loss-set.js";
import { EXAMPLE_SIZES } from "@tandem/student-trainer/losses/model-sizes.js";
import type { SignalRequirement } from "@tandem/student-trainer/losses/signal-requirement.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { mulberry32 } from "../../helpers/mulberry32.js";
import { signalOfLogits } from "../../helpers/signal-of-logits.js";

const V = 23;
const ROWS = 6;
const random = mulberry32(20261129);
const normals = Float32Array.from(
  { length: 2 * ROWS * V },
  () => 6 * (random() + random() + random() - 1.5),
);
const known = {
  vocabulary: V,
  // an offset that log-probabilities do not have
  teacher: normals.subarray(0, ROWS * V).map((u) => u + 40),
  student: normals.subarray(ROWS * V),
  targets: Uint32Array.from({ length: ROWS }, (_, row) => (5 * row) % V),
};

const CASES = [
  ["uld", { topK: 7 }],
  ["dpkd", {}],
  ["sampled-reverse-kl", {}],
  ["sampled-reverse-kl", { ratio: "old", clip: 0.2 }],
] as const;

function setOf(...losses: readonly object[]): LossSet {
  return new LossSet(lossesSchema.parse(losses), { ...EXAMPLE_SIZES, vocabulary: V });
}

describe("a loss that reads a few log-probabilities", () => {
  for (const [loss, options] of CASES) {
    it(`${loss} ${JSON.stringify(options)} asks for no more, and takes logits with their normaliser as well`, async () => {
      const short = singleLoss(loss, options, { ...EXAMPLE_SIZES, vocabulary: V }).requirement(0);
      assert.equal(short.spec.logProbs, true);
      const long: SignalRequirement = {
        ...short,
        spec: { ...short.spec, logProbs: false, omitTopIds: false },
      };
      const [a, b] = await Promise.all(
        [short, long].map((requirement) =>
          evaluateLoss({
            loss,
            options,
            vocabulary: V,
            targets: known.targets,
            studentLogits: known.student,
            oldLogProbs: new Float32Array(ROWS).fill(-3),
            engine: "reference",
            ...signalOfLogits(known, requirement),
          }),
        ),
      );
      assert.ok(a!.gradient.some((slope) => Math.abs(slope) > 1e-4));
      // what float32 loses of logits around 40
      const close = { rtol: 0, atol: 2e-5 };
      assertAllClose(a!.perToken, b!.perToken, close);
      assertAllClose(a!.gradient, b!.gradient, close);
    });
  }

  it("is not mistaken for one that reads raw logits, nor the other way round", async () => {
    const raw = singleLoss("forward-kl", { topK: 7 }, { ...EXAMPLE_SIZES, vocabulary: V });
    const { signal } = signalOfLogits(known, raw.requirement(0));
    await assert.rejects(
      evaluateLoss({
        loss: "forward-kl",
        options: { topK: 7 },
        vocabulary: V,
        targets: known.targets,
        studentLogits: known.student,
        signal: {
          ...signal,
          topLogits: signal.topLogits!.map((u, at) => u - signal.lse![Math.floor(at / 7)]!),
          logProbs: true,
        },
      }),
      (error) => error instanceof TandemError && error.code === "FAILED_PRECONDITION",
    );
  });

  it("gets the long form where another loss of the run reads raw logits", () => {
    const uld = { name: "uld", topK: 7 };
    const sampled = { name: "sampled-reverse-kl" };
    const formOf = (...losses: readonly object[]) => {
      const { logProbs, omitTopIds, lse } = setOf(...losses).requirement(0).spec;
      return { logProbs, omitTopIds, lse };
    };
    assert.deepEqual(formOf(uld), { logProbs: true, omitTopIds: true, lse: false });
    assert.deepEqual(formOf(uld, { name: "cross-entropy" }), formOf(uld));
    assert.deepEqual(formOf(sampled, uld), { logProbs: true, omitTopIds: true, lse: true });
    assert.deepEqual(formOf({ name: "dpkd" }, uld), {
      logProbs: true,
      omitTopIds: false,
      lse: false,
    });
    const long = { logProbs: false, omitTopIds: false };
    assert.deepEqual(formOf(uld, { name: "forward-kl" }), { ...long, lse: false });
    assert.deepEqual(formOf(sampled, { name: "forward-kl" }), { ...long, lse: true });
    assert.deepEqual(formOf(sampled, { name: "dtkd" }), { ...long, lse: true });
  });
});
