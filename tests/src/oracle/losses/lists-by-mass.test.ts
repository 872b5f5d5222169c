import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { evaluateLoss } from "@tandem/student-trainer/evaluate-loss/evaluate-loss.js";
import { singleLoss } from "@tandem/student-trainer/evaluate-loss/single-loss.js";
import { EXAMPLE_SIZES } from "@tandem/student-trainer/losses/model-sizes.js";
import { LossSet, lossesSchema } from "@tandem/student-trainer/losses/loss-set.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { mulberry32 } from "../../helpers/mulberry32.js";
import { signalOfLogits } from "../../helpers/signal-of-logits.js";

const V = 23;
/** A power of two: positions then weigh exactly 1/n in float32. */
const ROWS = 8;
const K = 9;

const random = mulberry32(20261128);
const normals = (size: number, scale: number) =>
  Float32Array.from({ length: size }, () => scale * (random() + random() + random() - 1.5));
// flat laws and steep ones, so that lists of all lengths occur
const teacher = normals(ROWS * V, 1).map((u, i) => u * (1 + 2 * Math.floor(i / V)));
const student = normals(ROWS * V, 3);
const targets = Uint32Array.from({ length: ROWS }, (_, row) => (5 * row) % V);

async function evaluate(
  loss: string,
  options: Readonly<Record<string, unknown>>,
  rows: readonly number[],
) {
  const pick = (of: Float32Array) =>
    Float32Array.from(rows.flatMap((row) => [...of.subarray(row * V, (row + 1) * V)]));
  const own = {
    vocabulary: V,
    teacher: pick(teacher),
    student: pick(student),
    targets: Uint32Array.from(rows, (row) => targets[row]!),
  };
  const requirement = singleLoss(loss, options, { ...EXAMPLE_SIZES, vocabulary: V }).requirement(0);
  const { signal } = signalOfLogits(own, requirement);
  const oldLogProbs = new Float32Array(rows.length).fill(-1);
  const result = await evaluateLoss({
    loss,
    options,
    vocabulary: V,
    signal,
    targets: own.targets,
    oldLogProbs,
    studentLogits: own.student,
    engine: "reference",
  });
  return { ...result, signal };
}

const CASES = [
  ["forward-kl", {}],
  ["forward-kl", { temperature: 2.5 }],
  ["reverse-kl", {}],
  ["generalized-jsd", { beta: 0.3 }],
  ["skew-forward-kl", {}],
  ["skew-reverse-kl", {}],
  ["total-variation", {}],
  ["akl", {}],
  ["truncated-forward-kl", {}],
  ["truncated-forward-kl", { normalise: "both" }],
  ["truncated-forward-kl", { normalise: "teacher" }],
] as const;

describe("a loss on lists that end at a mass", () => {
  for (const [loss, options] of CASES) {
    it(`${loss} ${JSON.stringify(options)} is, position by position, the loss on lists of that length`, async () => {
      const everywhere = Array.from({ length: ROWS }, (_, row) => row);
      const ragged = await evaluate(loss, { ...options, topK: K, topPMass: 0.9 }, everywhere);
      const { topOffsets } = ragged.signal;
      const lengths = everywhere.map((row) => topOffsets![row + 1]! - topOffsets![row]!);
      assert.ok(Math.min(...lengths) < 3 && Math.max(...lengths) === K, String(lengths));
      for (const row of everywhere) {
        const whole = await evaluate(loss, { ...options, topK: lengths[row]! }, [row]);
        const close = { rtol: 1e-9, atol: 1e-12 };
        assertAllClose([ragged.perToken[row]!], [...whole.perToken], close);
        const slope = ragged.gradient.subarray(row * V, (row + 1) * V).map((g) => ROWS * g);
        assertAllClose([...slope], [...whole.gradient], close);
      }
    });

    it(`${loss} ${JSON.stringify(options)} with mass 1 is the loss with whole lists`, async () => {
      const rows = [0, 3, 6];
      const whole = await evaluate(loss, { ...options, topK: K }, rows);
      const all = await evaluate(loss, { ...options, topK: K, topPMass: 1 }, rows);
      assert.deepEqual(all.perToken, whole.perToken);
      assert.deepEqual(all.gradient, whole.gradient);
    });
  }
});

describe("the lists of several losses", () => {
  const specOf = (losses: readonly object[]) =>
    new LossSet(lossesSchema.parse(losses)).requirement(0).spec;

  it("end at the largest mass that any of them asks for", () => {
    const one = { name: "forward-kl", topK: 64, topPMass: 0.9 };
    const other = { name: "reverse-kl", topK: 16, topPMass: 0.99 };
    const { topK, topPMass } = specOf([one, other]);
    assert.deepEqual({ topK, topPMass }, { topK: 64, topPMass: 0.99 });
  });

  it("are whole where one of them needs whole lists, and masses are no matter of losses without", () => {
    const one = { name: "forward-kl", topK: 64, topPMass: 0.9 };
    assert.equal(specOf([one, { name: "rlkd", topK: 8 }]).topPMass, 1);
    assert.equal(specOf([one, { name: "cross-entropy" }]).topPMass, 0.9);
  });

  it("must leave something of the vocabulary", () => {
    const set = new LossSet(lossesSchema.parse([{ name: "forward-kl", topK: V, topPMass: 0.9 }]));
    assert.throws(
      () => set.assertFits(V),
      (error) => error instanceof TandemError && error.field === "losses[0].topPMass",
    );
  });
});
