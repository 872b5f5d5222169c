import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { NO_SIGNAL, type SignalSpec } from "@tandem/shared/wire/teacher-signal.js";
import type { ValidScoreItem } from "@tandem/teacher-server/admission/admit-score.js";
import { signalKey, type TeacherIdentity } from "@tandem/teacher-server/store/signal-key.js";

const teacher: TeacherIdentity = { weightsDigest: "sha256:a", numericsId: "x", vocabSize: 97 };

const spec: SignalSpec = { ...NO_SIGNAL, topK: 5, draws: 2 };

const item: ValidScoreItem = {
  id: 1,
  tokens: Uint32Array.of(1, 2, 3, 4),
  from: 1,
  rows: 3,
  signal: { spec, encoding: { encoding: "compact", maxLogitError: 0.01 } },
  runSeed: 7,
  rngKey: 8,
  timeoutMs: 1000,
  priority: "normal",
};

/** Every field of the wish, so that a new one cannot be forgotten here. */
const otherSpec: Readonly<Record<keyof SignalSpec, unknown>> = {
  topK: 6,
  topPMass: 0.9,
  omitTopIds: true,
  logProbs: true,
  lse: true,
  token: true,
  moments: true,
  taus: [2],
  draws: 3,
  drawTemperature: 2,
  dense: "f16",
  hiddenLayers: [1],
};

/** Every field of the item that decides its answer. */
const otherItem: Readonly<
  Record<
    Exclude<keyof ValidScoreItem, "id" | "timeoutMs" | "priority" | "signal">,
    Partial<ValidScoreItem>
  >
> = {
  tokens: { tokens: Uint32Array.of(1, 2, 3, 5) },
  from: { from: 2 },
  rows: { rows: 2 },
  taus: { taus: Float32Array.of(1, 2, 3) },
  atOffsets: { atOffsets: Uint32Array.of(0, 1, 2, 3) },
  atIds: { atIds: Uint32Array.of(9) },
  runSeed: { runSeed: 9 },
  rngKey: { rngKey: 9 },
};

describe("signalKey", () => {
  const keyOf = (change: Partial<ValidScoreItem>, of: Partial<TeacherIdentity> = {}): string =>
    signalKey({ ...teacher, ...of }, { ...item, ...change }).toString("hex");
  const original = keyOf({});

  it("is another one for whatever decides an answer's bytes", () => {
    const keys = new Map<string, string>([
      ["the original", original],
      ["weights", keyOf({}, { weightsDigest: "sha256:b" })],
      ["numerics", keyOf({}, { numericsId: "y" })],
      ["vocabulary", keyOf({}, { vocabSize: 98 })],
      ["error", keyOf({ signal: { spec, encoding: { encoding: "compact", maxLogitError: 0 } } })],
      [
        "encoding",
        keyOf({ signal: { spec, encoding: { encoding: "plain", maxLogitError: 0.01 } } }),
      ],
    ]);
    for (const [field, change] of Object.entries(otherItem)) keys.set(field, keyOf(change));
    for (const [field, value] of Object.entries(otherSpec)) {
      const signal = { ...item.signal, spec: { ...spec, [field]: value } };
      keys.set(`signal.${field}`, keyOf({ signal }));
    }
    const owners = new Map<string, string>();
    for (const [what, key] of keys) {
      assert.equal(owners.get(key), undefined, `${what} does not change the key`);
      owners.set(key, what);
    }
  });

  it("tells arrays from each other that are one behind the other", () => {
    const [a, b] = [Uint32Array.of(1, 2), Uint32Array.of(3)];
    assert.notEqual(
      keyOf({ atOffsets: a, atIds: b }),
      keyOf({ atOffsets: Uint32Array.of(1), atIds: Uint32Array.of(2, 3) }),
    );
  });

  it("is the same for what does not: who asks, when, how urgently, and random numbers that nobody draws", () => {
    assert.equal(keyOf({ id: 2, timeoutMs: 5, priority: "high" }), original);
    const signal = { ...item.signal, spec: { ...spec, draws: 0 } };
    assert.equal(keyOf({ signal, runSeed: 1, rngKey: 1 }), keyOf({ signal }));
  });
});
