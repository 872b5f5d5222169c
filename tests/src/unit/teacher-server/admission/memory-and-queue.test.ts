import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StreamAdmission } from "@tandem/teacher-server/admission/stream-admission.js";
import { Admission } from "@tandem/teacher-server/admission/admission.js";
import { scoreDemand } from "@tandem/teacher-server/admission/demand.js";
import { admitScoreItem } from "@tandem/teacher-server/admission/admit-score.js";
import {
  planRequestBytes,
  type MemoryFacts,
} from "@tandem/teacher-server/admission/memory-plan.js";
import type { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { item, limits, spec } from "./raw-items.js";

const demand = { bytes: 100, positions: 10, tier: 2, deadlineMs: Infinity, field: "items" };
const [owner, stranger] = [
  { name: "owner", weight: 1 },
  { name: "stranger", weight: 1 },
];

function admissionOf(limitBytes: number, maxQueueMs = 1000) {
  const clock = { ms: 0, now: () => clock.ms };
  const whole = new Admission({ limitBytes, maxQueueMs, clock });
  return { whole, admission: new StreamAdmission(whole, owner), clock };
}

function refusal(action: () => unknown): TandemError {
  try {
    action();
  } catch (error) {
    return error as TandemError;
  }
  return assert.fail("it was let in");
}

describe("Admission by memory", () => {
  it("lets in what fits, and the rest when room was given back", () => {
    const { whole } = admissionOf(250);
    const first = whole.reserve(demand, owner);
    whole.reserve(demand, stranger);
    const error = refusal(() => whole.reserve(demand, owner));
    assert.deepEqual([error.code, error.limit], ["RESOURCE_EXHAUSTED", 250]);
    assert.ok((error.retryDelayMs ?? 0) > 0);
    first.release();
    first.release();
    assert.equal(whole.usedBytes, 100);
    whole.reserve(demand, owner);
  });

  it("refuses for good what is larger than everything", () => {
    const { admission } = admissionOf(99);
    const error = refusal(() => admission.admit(demand));
    assert.deepEqual([error.code, error.retryDelayMs], ["OUT_OF_RANGE", undefined]);
  });

  it("counts answers that wait for their reader, even beyond the limit, against new items", () => {
    const { whole } = admissionOf(250);
    const waiting = whole.hold(300, owner);
    assert.equal(refusal(() => whole.reserve(demand, owner)).code, "RESOURCE_EXHAUSTED");
    waiting.release();
    whole.reserve(demand, owner);
  });

  it("leaves three quarters to others, whatever one stream asks and does not read", () => {
    const { whole, admission } = admissionOf(1000);
    const other = new StreamAdmission(whole, stranger);
    const unread = admission.hold(200);
    const error = refusal(() => admission.admit(demand));
    assert.deepEqual([error.code, error.limit], ["RESOURCE_EXHAUSTED", 250]);
    // Larger than its share, but the only one it has here.
    const large = other.admit({ ...demand, bytes: 700 });
    assert.equal(whole.usedBytes, 900);
    unread.release();
    large.release();
    admission.admit(demand);
    assert.equal(whole.usedBytes, 100);
  });

  it("leaves room for others, whatever an owner asks on many streams and does not read", () => {
    const { whole } = admissionOf(1000);
    const fill = (name: string): number => {
      for (let taken = 0; ; taken += 10) {
        try {
          const stream = new StreamAdmission(whole, { name, weight: 1 });
          stream.reserve({ ...demand, bytes: 10 });
        } catch {
          return taken;
        }
      }
    };
    // 750 = 3 · 250; then 180 ≤ 3 · 70 and 190 > 3 · 60; then 50 ≤ 3 · 20 and 60 > 3 · 10.
    assert.deepEqual(["a", "b", "c"].map(fill), [750, 180, 50]);
    // The first thing that somebody asks for may take all that is free.
    new StreamAdmission(whole, stranger).reserve({ ...demand, bytes: 20 });
    assert.equal(whole.usedBytes, 1000);
  });

  it("takes nothing for what it refuses for another reason", () => {
    const { whole, admission } = admissionOf(1e9);
    whole.onFullStep(1, 1000);
    whole.enqueue({ ...demand, positions: 100 }, owner);
    refusal(() => admission.admit(demand));
    assert.equal(whole.usedBytes, 0);
  });
});

describe("Admission by time", () => {
  it("refuses what would wait too long, with the time until it would not", () => {
    const { whole, admission } = admissionOf(1e9);
    // 100 positions a second.
    whole.onFullStep(50, 500);
    const tickets = Array.from({ length: 11 }, () => admission.admit(demand));
    // 110 positions are 1100 ms, and 1000 may be waited.
    const error = refusal(() => admission.admit(demand));
    assert.deepEqual([error.code, error.limit], ["RESOURCE_EXHAUSTED", 1000]);
    assert.ok(Math.abs((error.retryDelayMs ?? 0) - 100) <= 1, String(error.retryDelayMs));
    tickets[0]?.release();
    admission.admit(demand);
  });

  it("refuses nothing before it has seen how fast full steps are", () => {
    const { admission } = admissionOf(1e9);
    for (let i = 0; i < 1000; i++) admission.admit(demand);
  });

  it("refuses what would miss its own deadline", () => {
    const { whole, admission, clock } = admissionOf(1e9);
    whole.onFullStep(50, 500);
    for (let i = 0; i < 5; i++) admission.admit(demand);
    clock.ms = 10_000;
    assert.equal(
      refusal(() => admission.admit({ ...demand, deadlineMs: 10_900 })).code,
      "RESOURCE_EXHAUSTED",
    );
    // 500 ms of waiting are at most half of what it has.
    admission.admit({ ...demand, deadlineMs: 11_100 });
  });

  it("lets others in while one owner's queue is as long as it may be", () => {
    const { whole, admission } = admissionOf(1e9);
    whole.onFullStep(50, 500);
    while (whole.queuedPositions < 110) admission.admit(demand);
    refusal(() => admission.admit(demand));
    const other = new StreamAdmission(whole, stranger);
    // Ten of its own beside ten of the other's: 100 ms, half of what it has.
    other.admit({ ...demand, deadlineMs: 200 }).release();
    refusal(() => other.admit({ ...demand, deadlineMs: 199 }));
    // What is more urgent waits for nothing of it, its owner's own included.
    admission.admit({ ...demand, tier: 0, deadlineMs: 1 });
  });

  it("follows an engine that becomes slower", () => {
    const { whole, admission } = admissionOf(1e9);
    whole.onFullStep(1000, 100);
    for (let i = 0; i < 20; i++) admission.admit(demand);
    // 200 positions at 10,000 a second were nothing; at 50 a second they are four seconds.
    for (let i = 0; i < 100; i++) whole.onFullStep(10, 200);
    const { retryDelayMs } = refusal(() => admission.admit(demand));
    assert.equal(retryDelayMs, 1000);
  });
});

describe("demands", () => {
  it("count every array of an answer", () => {
    const bytesOf = (signal: Partial<typeof spec>) =>
      scoreDemand(
        admitScoreItem({ ...item, signal: { ...spec, ...signal } }, limits),
        limits,
        Infinity,
      ).bytes;
    const none = bytesOf({ token: true });
    // Two rows: k ids and logits, V logits as f32 whatever the wire says, D numbers of each layer.
    assert.equal(bytesOf({ token: true, topK: 3 }) - none, 2 * 8 * 3);
    assert.equal(bytesOf({ token: true, dense: "DENSE_TYPE_F16" }) - none, 2 * 4 * 100);
    assert.equal(bytesOf({ token: true, hiddenLayers: [0, 2] }) - none, 2 * 2 * 4 * 16);
  });
});

describe("planRequestBytes", () => {
  const MIB = 2 ** 20;
  const facts: MemoryFacts = {
    limitBytes: 2048 * MIB,
    machineBytes: 64 * 1024 * MIB,
    serverBytes: 100 * MIB,
    kvBytes: 400 * MIB,
    maxBatchTokens: 512,
    maxTaus: 8,
    engine: {
      rssBytes: 700 * MIB,
      vocabSize: 49_152,
      contextLength: 2048,
      heads: 9,
      hiddenSize: 576,
      intermediateSize: 1536,
      layers: 30,
      kvHeads: 3,
      headDim: 64,
    },
  };

  it("leaves to items what model, caches and a step do not take", () => {
    // 2048 - 100 - 700 - 1.5 · 400 - 1.5 · (25.5 activations + 22.5 keys and values + 2 · 144 scores + 256 head) < 0: too small.
    const error = refusal(() => planRequestBytes(facts));
    assert.equal(error.code, "FAILED_PRECONDITION");
    const enough = planRequestBytes({ ...facts, limitBytes: error.limit ?? 0 });
    assert.ok(enough >= 4 * MIB && enough < 4.1 * MIB);
    const more = planRequestBytes({ ...facts, limitBytes: (error.limit ?? 0) + 800 * MIB });
    assert.ok(Math.abs(more - enough - 100 * MIB) <= 1, "an eighth of what is added");
  });

  it("sets aside the scores of the shortest chunk, which many heads and a long context make larger than their budget", () => {
    // 64 positions · 32 heads · 131,072 · 4 bytes = 1 GiB, and their softmax, with what the allocator keeps: 1.5 · 2 GiB. A context of 2048: 1.5 · 512 MiB.
    const needed = (contextLength: number) =>
      refusal(() =>
        planRequestBytes({ ...facts, engine: { ...facts.engine, heads: 32, contextLength } }),
      ).limit ?? 0;
    assert.equal(needed(131_072) - needed(2048), 1.5 * (2048 - 512) * MIB);
  });

  it("takes the machine's size where no limit is given, and never fails then", () => {
    assert.equal(planRequestBytes({ ...facts, limitBytes: 0 }), 2048 * MIB);
    assert.equal(planRequestBytes({ ...facts, limitBytes: 0, machineBytes: 1024 * MIB }), 4 * MIB);
  });
});
