import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { listLosses } from "@tandem/student-trainer";
import { loadRunConfig } from "@tandem/student-trainer/config/load-run-config.js";
import { totalSteps } from "@tandem/student-trainer/training/training-config.js";
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

  it("knows the methods whose loss need not fall", () => {
    const names = methods.map(({ name }) => name);
    for (const name of Object.keys(SHIFTING)) assert.ok(names.includes(name), name);
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
