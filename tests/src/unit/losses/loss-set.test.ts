import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { NO_SIGNAL } from "@tandem/shared/wire/teacher-signal.js";
import { LossSet, lossesSchema } from "@tandem/student-trainer/losses/loss-set.js";

function lossSet(...config: object[]): LossSet {
  return new LossSet(lossesSchema.parse(config));
}

describe("a set of losses", () => {
  it("asks for nothing when it needs no teacher", () => {
    const losses = lossSet({ name: "cross-entropy" });
    assert.equal(losses.needsTeacher, false);
    assert.deepEqual(losses.requirement(0), { spec: NO_SIGNAL, studentTopK: 0 });
  });

  it("asks for the union of what its losses need", () => {
    const losses = lossSet(
      { name: "forward-kl", topK: 8 },
      { name: "reverse-kl", topK: 32, temperature: 2 },
      { name: "generalized-jsd", dense: true },
    );
    assert.equal(losses.needsTeacher, true);
    assert.deepEqual(losses.requirement(0).spec, {
      ...NO_SIGNAL,
      topK: 32,
      taus: [2],
      dense: "f32",
    });
  });

  it("refuses a list of more ids than there are", () => {
    const losses = lossSet({ name: "cross-entropy" }, { name: "rlkd", k: 5, topK: 12 });
    losses.assertFits(12);
    assert.throws(
      () => losses.assertFits(11),
      (error: unknown) =>
        error instanceof TandemError &&
        error.field === "losses[1].topK" &&
        /a list of 12 ids exceeds the vocabulary of 11/.test(error.message),
    );
  });

  it("asks for a temperature once, however many losses use it", () => {
    const losses = lossSet(
      { name: "forward-kl", temperature: 2 },
      { name: "reverse-kl", temperature: 3 },
      { name: "generalized-jsd", temperature: 2 },
    );
    assert.deepEqual(losses.requirement(0).spec.taus, [2, 3]);
  });

  it("asks for the temperature of the moment", () => {
    const losses = lossSet({ name: "forward-kl", temperature: { kind: "linear", from: 4, to: 1 } });
    assert.deepEqual(losses.requirement(0).spec.taus, [4]);
    assert.deepEqual(losses.requirement(0.5).spec.taus, [2.5]);
    // Also when it passes 1: the graph is the same for the whole run.
    assert.deepEqual(losses.requirement(1).spec.taus, [1]);
  });

  it("does not ask for temperature 1, which the signal has anyway", () => {
    assert.deepEqual(lossSet({ name: "forward-kl", temperature: 1 }).requirement(0).spec.taus, []);
  });

  it("follows the schedules of its weights", () => {
    const losses = lossSet(
      { name: "cross-entropy", weight: { kind: "linear", from: 1, to: 0 } },
      { name: "forward-kl", weight: 0.5 },
    );
    assert.deepEqual(losses.weightsAt(0), [1, 0.5]);
    assert.deepEqual(losses.weightsAt(0.75), [0.25, 0.5]);
  });

  it("asks each teacher for what the losses that name it need", () => {
    const losses = lossSet(
      { name: "forward-kl", topK: 8 },
      { name: "reverse-kl", topK: 16, temperature: 2, teacher: "big" },
      { name: "dpkd", teacher: "big" },
      { name: "ranking", k: 3 },
      { name: "cross-entropy", teacher: "idle" },
    );
    const { spec, studentTopK, named } = losses.requirement(0);
    assert.deepEqual(spec, { ...NO_SIGNAL, topK: 8 });
    assert.deepEqual(named?.big?.spec, { ...NO_SIGNAL, topK: 16, taus: [2] });
    // The student has one list: whoever is asked at it gets it whole.
    assert.deepEqual([studentTopK, named?.big?.studentTopK], [3, 3]);
    assert.deepEqual(losses.teacherNames, ["big"]);
  });

  it("does not ask the row's teacher where every loss names another", () => {
    const losses = lossSet({ name: "forward-kl", teacher: "big" });
    assert.equal(losses.needsRowTeacher, false);
    assert.equal(losses.needsTeacher, true);
  });

  it("draws at one temperature: losses that want samples of different laws are refused", () => {
    const spec = lossSet({ name: "rs-kd", drawTemperature: 2 }).requirement(0).spec;
    assert.deepEqual(spec, { ...NO_SIGNAL, draws: 50, drawTemperature: 2 });
    const both = [
      { name: "rs-kd", drawTemperature: 2 },
      { name: "rs-kd", drawTemperature: 1 },
    ];
    assert.throws(() => lossSet(...both).requirement(0), {
      code: "INVALID_ARGUMENT",
      field: "losses.drawTemperature",
      message: /temperatures 2 and 1; give them one drawTemperature/,
    });
    // Of two teachers they may.
    lossSet(both[0]!, { ...both[1], teacher: "other" }).requirement(0);
  });

  it("names equal losses apart", () => {
    const losses = lossSet({ name: "forward-kl" }, { name: "forward-kl", temperature: 2 });
    assert.deepEqual(losses.names, ["forward-kl", "forward-kl.2"]);
  });

  it("takes an option that does nothing as its default", () => {
    lossSet({ name: "sampled-reverse-kl", clip: null }, { name: "ctkd", hidden: 16 });
  });

  const refused: readonly [string, object, RegExp][] = [
    ["an unknown name, listing those there are", { name: "kl" }, /no loss "kl".*forward-kl/s],
    [
      "an unknown option, naming the loss",
      { name: "forward-kl", topk: 3 },
      /losses\[0\] \(forward-kl\).*topk/s,
    ],
    [
      "a temperature that is not positive",
      { name: "forward-kl", temperature: 0 },
      /must be positive/,
    ],
    [
      "a schedule that reaches a temperature of 0",
      { name: "forward-kl", temperature: { kind: "linear", from: 1, to: 0 } },
      /must be positive/,
    ],
    [
      "several teachers for a loss that takes one",
      { name: "forward-kl", teachers: ["a", "b"] },
      /takes one teacher, 2 are named/,
    ],
    [
      "a teacher beside a list of teachers",
      { name: "forward-kl", teacher: "a", teachers: ["b"] },
      /both given/,
    ],
    [
      "weights of more teachers than are named, before any models are known",
      { name: "teacher-mixture", teachers: ["a", "b"], weights: [1, 2, 3] },
      /losses\[0\] \(teacher-mixture\): weights has 3 numbers for 2 teachers; give one each/,
    ],
    [
      "weights of several teachers for the row's",
      { name: "teacher-mixture", weights: [1, 2] },
      /weights has 2 numbers for 1 teachers/,
    ],
    [
      "teachers of whom none counts",
      { name: "teacher-mixture", teachers: ["a", "b"], weights: [0, 0] },
      /weights/,
    ],
    [
      "a temperature that moves behind a text that is scored already",
      { name: "dtkd", dense: false, temperature: { kind: "linear", from: 4, to: 2 } },
      /fixed when the text is scored; give a number, or dense: true/,
    ],
    [
      "a clip of a ratio that is 1",
      { name: "sampled-reverse-kl", clip: 0.2 },
      /losses\[0\] \(sampled-reverse-kl\): clip is read with ratio: old only; set that, or leave clip out/,
    ],
    [
      "a strength of what has none",
      { name: "ranking", operator: "pearson", strength: 2 },
      /strength is read with operator: soft-rank or pairwise-sigmoid only/,
    ],
    [
      "a size of lists that are not asked for",
      { name: "continuation-kd", k: 8 },
      /k is read with support: top-k-approximation only/,
    ],
    ["a rate without control", { name: "adakd", rate: 0.1 }, /rate is read with controlled: true/],
    ["a width of no network", { name: "ctkd", hidden: 8 }, /hidden is read with instance: true/],
    ["a beta outside [0, 1]", { name: "generalized-jsd", beta: 1.5 }, /beta/],
  ];
  for (const [what, config, message] of refused) {
    it(`refuses ${what}`, () => {
      assert.throws(
        () => lossSet(config),
        (error) =>
          error instanceof TandemError &&
          error.code === "INVALID_ARGUMENT" &&
          message.test(error.message),
      );
    });
  }
});
