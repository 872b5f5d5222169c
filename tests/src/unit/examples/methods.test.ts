import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { listLosses } from "@tandem/student-trainer";
import { loadRunConfig } from "@tandem/student-trainer/config/load-run-config.js";
import { LossSet } from "@tandem/student-trainer/losses/loss-set.js";
import { totalSteps } from "@tandem/student-trainer/training/training-config.js";
import { faultOf } from "../../bench/methods-fault.js";
import { listMethods, SHIFTING } from "../../bench/methods-plan.js";
import { intervalOf } from "../../bench/methods-results.js";
import { methodsPage } from "../../bench/methods-page.js";

const load = (file: string) =>
  loadRunConfig({ file, assignments: ["teacher.address=localhost:50051"] });
const methods = listMethods();

describe("examples/methods", () => {
  for (const { name, file } of methods) {
    it(`${name} resolves, extends base.yaml and says what it is`, () => {
      load(file);
      assert.match(readFileSync(file, "utf8"), /^# .*\n(?:# .*\n)*extends: base\.yaml\n/);
    });

    it(`${name} has as many sequences as the others`, () => {
      const { rollout, training } = load(file);
      const steps = totalSteps(training, rollout.rows);
      assert.equal((steps * training.minibatchSize) / training.numIterations, 640);
    });
  }

  it("has a configuration for every loss", () => {
    const used = new Set(methods.flatMap(({ file }) => load(file).losses.map(({ name }) => name)));
    const unused = listLosses().filter(({ name }) => !used.has(name));
    assert.deepEqual(
      unused.map(({ name }) => name),
      [],
      "add examples/methods/NAME.yaml",
    );
  });

  it("knows what a position's signal takes", () => {
    const bytes = (method: string) => methods.find(({ name }) => name === method)!.plainBytes;
    // Eight ids and logits, normaliser and tail; 18 float32; logit, rank and normaliser; two float16 states of 128 for each of three layers.
    assert.equal(bytes("skd"), 8 * 8 + 8);
    assert.equal(bytes("dtkd"), 18 * 4);
    assert.equal(bytes("on-policy-distillation"), 8);
    assert.equal(bytes("sft"), 0);
    // Layers 2, 4, 6 and 4, 5, 6: four different ones.
    assert.equal(bytes("kd-nas"), 4 * 128 * 2);
    // Queries, keys and values, and a list of eight.
    assert.equal(bytes("attention-relations"), 3 * 128 * 2 + 8 * 8 + 8);
  });

  it("names metrics of losses that the losses have", () => {
    const names = new Set(["plain-text", "plain-text-kl"]);
    for (const { name, file, stepMetrics } of methods) {
      const losses = new LossSet(load(file).losses);
      const own = new Set([...losses.names, ...losses.measureNames, ...names]);
      const unknown = stepMetrics.filter(
        (metric) => !own.has(metric) && !/^(acc|teacherS)/.test(metric),
      );
      assert.deepEqual(unknown, [], name);
      // And all of them.
      for (const metric of losses.measureNames) assert.ok(stepMetrics.includes(metric), metric);
    }
  });

  it("knows the methods whose loss need not fall", () => {
    const names = methods.map(({ name }) => name);
    for (const name of Object.keys(SHIFTING)) assert.ok(names.includes(name), name);
  });
});

describe("what is wrong with a run", () => {
  const step = {
    kind: "step",
    step: 1,
    round: 0,
    iteration: 0,
    epoch: 0,
    loss: 2,
    losses: { adakd: 2 },
    measures: { "adakd.kept": 0.5, "adakd.temperature": 1.1 },
    gradNorm: 1,
    learningRate: 1,
    tokens: 5,
    teacherShare: 0,
    tokensPerSecond: 1,
    teacherWaitMs: 0,
    seconds: 1,
    rolloutSeconds: 0,
  } as const;
  const run = { lossFirst: 2, lossLast: 1, teacherKl: 0.5 };
  const fault = (name: string, records: readonly object[], values = run) => {
    const method = methods.find((own) => own.name === name)!;
    return faultOf(values, { method, records: records as never, initialKl: 1 });
  };

  it("is nothing where every metric is there and both distances fall", () => {
    assert.equal(fault("adakd", [step]), undefined);
  });

  it("is a loss or a metric that is missing, or not finite", () => {
    const without = (part: object) => fault("adakd", [{ ...step, ...part }]);
    assert.equal(without({ losses: {} }), "step 1: adakd is missing from metrics.jsonl");
    assert.equal(without({ measures: {} }), "step 1: adakd.kept is missing from metrics.jsonl");
    assert.equal(
      without({ measures: { ...step.measures, "adakd.temperature": null } }),
      "step 1: adakd.temperature is not finite",
    );
    assert.equal(without({ gradNorm: null }), "step 1: gradNorm is not finite");
    const drafts = { ...step, losses: { "forward-kl": 2 }, acceptance: 0.5, acceptanceAt: [] };
    assert.equal(fault("skd", [drafts]), "step 1: acceptanceAt is not finite");
  });

  it("is an evaluation without the method's metrics, or none", () => {
    const own = { ...step, losses: { rlkd: 1 } };
    assert.equal(fault("rlkd", [own]), "no evaluation in metrics.jsonl, and so no consistencyAt1");
    assert.equal(
      fault("rlkd", [own, { kind: "evaluation", step: 0, accuracy: 0 }]),
      "evaluation 0: consistencyAt1 is missing from metrics.jsonl",
    );
  });

  it("is a loss or a distance to the teacher that rose", () => {
    const rises = { ...run, lossLast: 3 };
    assert.match(fault("adakd", [step], rises)!, /the loss rose from 2 to 3/);
    assert.equal(
      fault(
        "ctkd",
        [{ ...step, losses: { ctkd: 1, "cross-entropy": 1 }, measures: { "ctkd.temperature": 9 } }],
        rises,
      ),
      undefined,
    );
    assert.match(fault("adakd", [step], { ...run, teacherKl: 2 })!, /distance.* rose from 1 to 2/);
  });
});

describe("the table of results", () => {
  it("has Student's interval: 1, 2, 6 gives 3 ± 4.303·√7/√3", () => {
    // Deviations −2, −1, 3: variance 14/2 = 7.
    const { mean, half } = intervalOf([1, 2, 6]);
    assert.equal(mean, 3);
    assert.ok(Math.abs(half! - 4.303 * Math.sqrt(7 / 3)) < 1e-9);
    assert.deepEqual(intervalOf([4]), { mean: 4 });
  });

  it("has a row for a method that was run, and its fault", () => {
    const run = {
      method: "skd",
      seed: 1,
      digest: "",
      accuracy: 0.5,
      problems: 500,
      teacherKl: 0.1,
      teacherAgreement: 0.9,
      lossFirst: 1,
      lossLast: 0.1,
      acceptanceFirst: 0.6,
      acceptanceLast: 0.95,
      teacherShare: 0.1,
      steps: 120,
      tokens: 26_000,
      trainedTokens: 78_000,
      signalBytes: 2_600_000,
      bytesPerPosition: 100,
      seconds: 20,
    };
    const page = methodsPage(methods, [run, { ...run, seed: 2, accuracy: 0.6, fault: "too slow" }]);
    // Two values 10 apart: 12.706·√50/√2 = 63.5.
    assert.ok(
      page.includes("| skd | 55.0 ± 63.5 | 2 | 0.100 | 90.0 | 60.0 → 95.0 | 26,000 | 100 | 72 |"),
      page,
    );
    assert.ok(page.includes("- skd, seed 2: too slow"));
    assert.match(page, /^Not run yet: .*, gkd, .*, uld\.$/m);
    const { signalBytes: _bytes, bytesPerPosition: _per, ...uncounted } = run;
    assert.ok(methodsPage(methods, [uncounted]).includes("| 26,000 |  | 72 |"));
  });
});
