import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { sampleRow } from "@tandem/shared/sampling/sample-row.js";

const ALL = { temperature: 1, topK: 0, topP: 1 };

describe("sampleRow", () => {
  it("gives ties to the lower id, greedily and at the cut of the top list", () => {
    const row = Float32Array.from([1, 5, 5, 5, 0]);
    assert.equal(sampleRow(row, { ...ALL, temperature: 0 }, 0.99), 1);
    // ids 1 and 2 are kept, half the mass each
    assert.equal(sampleRow(row, { ...ALL, topK: 2 }, 0.49), 1);
    assert.equal(sampleRow(row, { ...ALL, topK: 2 }, 0.99), 2);
  });

  it("keeps the token that reaches the nucleus's mass, and at least one", () => {
    // four equal quarters: 0.5 needs two, 0.51 three
    const row = new Float32Array(4);
    assert.equal(sampleRow(row, { ...ALL, topP: 0.5 }, 0.999), 1);
    assert.equal(sampleRow(row, { ...ALL, topP: 0.51 }, 0.999), 2);
    assert.equal(sampleRow(row, { ...ALL, topP: 1e-9 }, 0.999), 0);
  });

  it("never draws what carries no mass", () => {
    const row = Float32Array.from([-Infinity, 2, -Infinity, 1, -Infinity]);
    for (const topK of [0, 2, 4]) {
      assert.equal(sampleRow(row, { ...ALL, topK }, 0), 1);
      assert.equal(sampleRow(row, { ...ALL, topK, topP: 0.9999 }, 1 - 2 ** -53), 3);
    }
  });

  it("refuses a row that a broken model computed", () => {
    for (const bad of [[NaN, 1], [1, NaN], [-Infinity, -Infinity], [Infinity, 0], []]) {
      assert.throws(
        () => sampleRow(Float32Array.from(bad), ALL, 0.5),
        (error) => error instanceof TandemError && error.code === "INTERNAL",
      );
    }
  });

  it("survives a vocabulary of equal logits and masked outliers", () => {
    const row = new Float32Array(150_000);
    row[0] = -1e30;
    assert.equal(sampleRow(row, { temperature: 0.5, topK: 100_000, topP: 0.5 }, 0.5), 25_001);
  });
});
