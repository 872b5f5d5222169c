import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import {
  acceptDrafts,
  assertAcceptanceRule,
  evidenceOfToken,
} from "@tandem/shared/sampling/accept.js";
import { cutAtStop } from "@tandem/shared/sampling/stops.js";
import { assertAllClose } from "../../helpers/all-close.js";

describe("acceptDrafts", () => {
  it("stops at the first draft that the rule rejects", () => {
    const evidence = {
      ranks: [0, 3, 24, 25, 0],
      massAbove: [0, 0.5, 0.89, 0.95, 0],
      probabilities: [0.5, 0.1, 0.02, 0.001, 0.5],
    };
    assert.equal(acceptDrafts(evidence, { kind: "rank", k: 25 }), 3);
    assert.equal(acceptDrafts(evidence, { kind: "rank", k: 26 }), 5);
    assert.equal(acceptDrafts(evidence, { kind: "greedy" }), 1);
    assert.equal(acceptDrafts(evidence, { kind: "top-p", p: 0.9 }), 3);
    assert.equal(acceptDrafts(evidence, { kind: "top-p", p: 0.5 }), 1);
    assert.equal(acceptDrafts(evidence, { kind: "min-p", p: 0.02 }), 3);
    const possible = [true, true, false, true, true];
    assert.equal(acceptDrafts({ ...evidence, possible }, { kind: "filtered", k: 25 }), 2);
    assert.equal(acceptDrafts({ ...evidence, possible }, { kind: "filtered", k: 3 }), 1);
    assert.equal(acceptDrafts({ ranks: [] }, { kind: "rank", k: 1 }), 0);
  });

  it("says INTERNAL when the evidence a rule needs was not computed", () => {
    for (const kind of ["top-p", "min-p"] as const) {
      assert.throws(
        () => acceptDrafts({ ranks: [0] }, { kind, p: 0.5 }),
        (error) => error instanceof TandemError && error.code === "INTERNAL",
      );
    }
  });
});

describe("evidenceOfToken", () => {
  it("gives rank, mass above and probability; ties share a rank", () => {
    // probabilities 0.1, 0.2, 0.4, 0.2, 0.1
    const row = Float32Array.from([1, 2, 4, 2, 1], Math.log);
    const { rank, massAbove, probability } = evidenceOfToken(row, 3);
    assert.equal(rank, 1);
    assertAllClose([massAbove, probability], [0.4, 0.2], { rtol: 1e-7, atol: 0 });
    assert.equal(evidenceOfToken(row, 4).rank, 3);
    assert.equal(evidenceOfToken(row, 2).massAbove, 0);
  });
});

describe("assertAcceptanceRule", () => {
  it("names the number that is out of range", () => {
    const field = (name: string) => (error: unknown) =>
      error instanceof TandemError && error.field === `accept.${name}`;
    assert.throws(() => assertAcceptanceRule({ kind: "rank", k: 0 }, "accept"), field("rank"));
    assert.throws(() => assertAcceptanceRule({ kind: "top-p", p: 0 }, "accept"), field("top_p"));
    assert.throws(() => assertAcceptanceRule({ kind: "min-p", p: 1.5 }, "accept"), field("min_p"));
    assertAcceptanceRule({ kind: "greedy" }, "accept");
    assertAcceptanceRule({ kind: "rank", k: 25 }, "accept");
  });
});

describe("cutAtStop", () => {
  const stops = new Set([2, 9]);

  it("keeps through the first stop token and discards what follows", () => {
    assert.deepEqual(cutAtStop([5, 9, 7, 2], stops, 10), { kept: 2, finish: "stop" });
  });

  it("ends at the length limit, unless the last place holds a stop", () => {
    assert.deepEqual(cutAtStop([5, 6, 7], stops, 2), { kept: 2, finish: "length" });
    assert.deepEqual(cutAtStop([5, 6], stops, 2), { kept: 2, finish: "length" });
    assert.deepEqual(cutAtStop([5, 2], stops, 2), { kept: 2, finish: "stop" });
    assert.deepEqual(cutAtStop([5, 6], stops, 3), { kept: 2, finish: "none" });
  });
});
