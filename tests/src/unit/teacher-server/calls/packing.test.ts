import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { describe, it } from "node:test";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { Outbox } from "@tandem/teacher-server/calls/outbox.js";
import { packFrames } from "@tandem/teacher-server/calls/pack-frames.js";
import { toItemError } from "@tandem/teacher-server/calls/to-wire.js";

const frameOf = (from: number, sizeBytes: number) => ({ message: { from, count: 1 }, sizeBytes });

describe("packFrames", () => {
  it("keeps order and limit", () => {
    const groups = packFrames(
      [frameOf(1, 40), frameOf(2, 50), frameOf(3, 20), frameOf(4, 200), frameOf(5, 1)],
      100,
    );
    assert.deepEqual(
      groups.map(({ frames }) => frames.map(({ from }) => from)),
      [[1, 2], [3], [4], [5]],
    );
  });

  it("gives one empty group for no frames", () => {
    assert.deepEqual(packFrames([], 100), [{ frames: [], sizeBytes: 0 }]);
  });
});

describe("Outbox", () => {
  it("sends one message per turn of the event loop, and more when they grow too large", async () => {
    const sent: number[][] = [];
    const outbox = new Outbox<number[]>({
      create: () => [],
      send: (message) => sent.push(message),
      limitBytes: 100,
    });
    outbox.add(60, (message) => message.push(1));
    outbox.add(40, (message) => message.push(2));
    outbox.add(1, (message) => message.push(3));
    assert.deepEqual(sent, [[1, 2]]);
    await setImmediate();
    assert.deepEqual(sent, [[1, 2], [3]]);
  });
});

describe("toItemError", () => {
  it("carries field, limit and retry delay", () => {
    const error = new TandemError("RESOURCE_EXHAUSTED", "full", {
      field: "items",
      limit: 7,
      retryDelayMs: 50,
    });
    assert.deepEqual(toItemError(error, 3, 4), {
      id: 3,
      code: "ERROR_CODE_RESOURCE_EXHAUSTED",
      reason: "full",
      field: "items",
      limit: 7,
      retryDelayMs: 50,
      start: 4,
    });
  });

  it("does not let the details of a bug out", () => {
    const { code, reason } = toItemError(TandemError.from(new Error("secret path /x")), 1);
    assert.equal(code, "ERROR_CODE_INTERNAL");
    assert.doesNotMatch(reason ?? "", /secret/);
  });
});
