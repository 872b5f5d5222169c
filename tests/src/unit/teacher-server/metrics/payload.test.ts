import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { toSignalFrames } from "@tandem/shared/wire/signal-frame.js";
import { Metrics, type GaugeSources } from "@tandem/teacher-server/metrics/metrics.js";

/** Every gauge is 0. */
const GAUGES = new Proxy({}, { get: () => () => 0 }) as GaugeSources;

describe("teacher_payload_bytes_total", () => {
  it("counts the bytes of signals, not what packing sets aside for the messages around them", async () => {
    const [rows, k] = [3, 8];
    const signal = {
      from: 1,
      count: rows,
      topK: k,
      tauCount: 0,
      topIds: new Uint32Array(rows * k),
      topLogits: new Float32Array(rows * k),
      lse: new Float32Array(rows),
      logTail: new Float32Array(rows),
    };
    const frames = toSignalFrames(signal, {
      encoding: "PLAIN",
      vocabSize: 18,
      maxLogitError: 0,
      denseType: "none",
      maxFrameBytes: 1 << 20,
    }).map((message) => ({ message, sizeBytes: 9999 }));
    const metrics = new Metrics(GAUGES);
    const times = { computeMs: 1, computedPositions: rows, headPositions: rows };
    metrics.onStep(
      { rows: [{ encoding: { encoding: "plain", maxLogitError: 0 } }] } as never,
      { rows: [{ cache: 0, frames }], ...times } as never,
      1,
    );
    const text = await metrics.registry.metrics();
    // An id and a logit of four bytes each for every entry, normaliser and tail for every row.
    assert.ok(
      text.includes(`teacher_payload_bytes_total{encoding="plain"} ${rows * (8 * k + 8)}`),
      text.split("\n").find((line) => line.startsWith("teacher_payload")),
    );
  });
});
