import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  stepsPerRound,
  totalSteps,
  trainingSchema,
} from "@tandem/student-trainer/training/training-config.js";

describe("the length of a run", () => {
  it("is rounds × passes × minibatches", () => {
    const config = trainingSchema.parse({ rounds: 25, numIterations: 3, minibatchSize: 32 });
    assert.equal(stepsPerRound(config, 128), 12);
    assert.equal(totalSteps(config, 128), 300);
    assert.equal(totalSteps(config, 129), 25 * 3 * 5);
  });

  it("or the given number of steps", () => {
    assert.equal(totalSteps(trainingSchema.parse({ steps: 7 }), 128), 7);
  });

  it("is given in one way only", () => {
    assert.throws(() => trainingSchema.parse({}), /either steps or rounds/);
    assert.throws(() => trainingSchema.parse({ steps: 1, rounds: 1 }), /either steps or rounds/);
  });

  it("needs batches that are not empty", () => {
    assert.throws(() => totalSteps(trainingSchema.parse({ steps: 7 }), 0), /is empty/);
  });
});
