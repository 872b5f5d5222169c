import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { DivergenceMeter } from "@tandem/teacher-server/engine/process/divergence.js";

describe("DivergenceMeter", () => {
  it("gives mean and 99th percentile of KL(reference ‖ served), and how often both prefer the same", () => {
    const meter = new DivergenceMeter(2);
    // Equal laws, whatever is added to all logits.
    for (let i = 0; i < 98; i++) meter.compare(Float32Array.of(0, 1), Float32Array.of(5, 6));
    // (3/4, 1/4) against (1/2, 1/2): ¾·ln(3/2) + ¼·ln(1/2) = 0.130812; both prefer id 0, ties going to the lower.
    meter.compare(Float32Array.of(Math.log(3), 0), Float32Array.of(0, 0));
    // (1/2, 1/2) against (1/4, 3/4): ½·ln 2 + ½·ln(2/3) = 0.143841; they differ.
    meter.compare(Float32Array.of(0, 0), Float32Array.of(0, Math.log(3)));
    const { meanKl, p99Kl, top1Agreement } = meter.result();
    assert.ok(Math.abs(meanKl - (0.130812 + 0.143841) / 100) < 1e-7, `mean ${meanKl}`);
    assert.ok(Math.abs(p99Kl - 0.130812) < 1e-6, `p99 ${p99Kl}`);
    assert.equal(top1Agreement, 0.99);
  });

  it("takes several positions at once", () => {
    const meter = new DivergenceMeter(2);
    meter.compare(Float32Array.of(0, 0, Math.log(3), 0), Float32Array.of(0, 0, 0, 0));
    assert.ok(Math.abs(meter.result().meanKl - 0.130812 / 2) < 1e-6);
  });
});
