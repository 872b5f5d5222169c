import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Budget } from "@tandem/teacher-server/auth/budget.js";
import type { Quota } from "@tandem/teacher-server/auth/quota.js";
import type { TandemError } from "@tandem/shared/errors/tandem-error.js";

function budgetOf(quota: Quota) {
  const clock = {
    ms: 0,
    now: () => clock.ms,
  };
  return { budget: new Budget("team-a", quota, clock), clock };
}

function refusal(action: () => void): TandemError {
  try {
    action();
  } catch (error) {
    return error as TandemError;
  }
  return assert.fail("it was let through");
}

describe("Budget", () => {
  it("lets a client without a quota do what it likes", () => {
    const { budget } = budgetOf({});
    for (let i = 0; i < 1000; i++) budget.admit(1e6);
    budget.spendBytes(1e12);
  });

  it("holds the mean rate of requests", () => {
    const { budget, clock } = budgetOf({ requestsPerSecond: 10 });
    let admitted = 0;
    for (clock.ms = 0; clock.ms < 20_000; clock.ms += 7) {
      try {
        budget.admit(0);
        admitted++;
      } catch {
        // Refused: comes again 7 ms later.
      }
    }
    // 20 s at 10 a second, and what was saved up in the second before.
    assert.ok(admitted >= 209 && admitted <= 211, String(admitted));
  });

  it("lets an item larger than the rate begin, and says how long its debt lasts", () => {
    const { budget, clock } = budgetOf({ tokensPerSecond: 100 });
    budget.admit(1100);
    const error = refusal(() => budget.admit(1));
    assert.equal(error.code, "RESOURCE_EXHAUSTED");
    assert.equal(error.field, "quota.tokensPerSecond");
    assert.equal(error.limit, 100);
    // 100 were saved up: 1000 tokens of debt at 100 a second.
    assert.equal(error.retryDelayMs, 10_000);
    clock.ms = 9_990;
    refusal(() => budget.admit(1));
    clock.ms = 10_001;
    budget.admit(1);
  });

  it("counts bytes of both directions against new items only", () => {
    const { budget, clock } = budgetOf({ bytesPerSecond: 1000 });
    budget.spendBytes(3000);
    assert.equal(refusal(() => budget.admit(1)).field, "quota.bytesPerSecond");
    clock.ms = 2001;
    budget.admit(1);
  });

  it("limits streams and sequences that are open at once", () => {
    const { budget } = budgetOf({ streams: 2, sequences: 1 });
    budget.openStream();
    budget.openStream();
    assert.equal(refusal(() => budget.openStream()).field, "quota.streams");
    budget.closeStream();
    budget.openStream();
    budget.openSequence();
    assert.equal(refusal(() => budget.openSequence()).limit, 1);
  });

  it("keeps what was used when the quota changes", () => {
    const { budget, clock } = budgetOf({ tokensPerSecond: 100, streams: 5 });
    budget.openStream();
    budget.admit(1100);
    budget.setQuota({ tokensPerSecond: 500, streams: 1 });
    // 1000 tokens of debt at 500 a second.
    assert.equal(refusal(() => budget.admit(1)).retryDelayMs, 2000);
    assert.equal(refusal(() => budget.openStream()).limit, 1);
    clock.ms = 2001;
    budget.admit(1);
    budget.setQuota({});
    budget.admit(1e9);
    budget.admit(1);
  });
});
