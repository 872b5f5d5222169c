import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { SignalFrame } from "@tandem/proto/gen/tandem/v1/SignalFrame.js";
import type { SignalFrame__Output } from "@tandem/proto/gen/tandem/v1/SignalFrame.js";
import type { ScoreResponse__Output } from "@tandem/proto/gen/tandem/v1/ScoreResponse.js";
import { loadTeacherPackageDefinition } from "@tandem/proto/load-teacher-proto.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { chunkSignal } from "@tandem/shared/wire/chunk-signal.js";
import { concatSignals } from "@tandem/shared/wire/concat-signals.js";
import { fromSignalFrame, toSignalFrames } from "@tandem/shared/wire/signal-frame.js";
import { sliceSignal } from "@tandem/shared/wire/slice-signal.js";
import type { TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";
import { randomSignal, type SignalShape } from "../../helpers/random-signal.js";

interface ScoreCodec {
  responseSerialize(message: object): Buffer;
  responseDeserialize(bytes: Buffer): ScoreResponse__Output;
}
const service = loadTeacherPackageDefinition()["tandem.v1.Teacher"] as unknown as {
  readonly Score: ScoreCodec;
};

/** Frames as the other side gets them: through protobuf's bytes. */
function throughProto(frames: readonly SignalFrame[]): readonly SignalFrame__Output[] {
  const bytes = service.Score.responseSerialize({ results: [{ id: 1, frames }] });
  return service.Score.responseDeserialize(bytes).results[0]!.frames;
}

const ALL = {
  law: true,
  token: true,
  at: true,
  moments: true,
  draws: true,
  weights: true,
  dense: true,
  hidden: true,
};
const SHAPE: SignalShape = {
  seed: 5,
  count: 9,
  topK: 4,
  tauCount: 2,
  vocabSize: 70,
  scale: 3,
  parts: ALL,
};
const OPTIONS = {
  vocabSize: 70,
  maxLogitError: 0,
  denseType: "f32",
  maxFrameBytes: 1 << 20,
} as const;

function isError(...codes: string[]) {
  return (error: unknown): boolean => error instanceof TandemError && codes.includes(error.code);
}

describe("signal frames", () => {
  for (const encoding of ["PLAIN", "COMPACT"] as const) {
    it(`bring ${encoding} signals through protobuf bit for bit, cut at any size`, () => {
      const bits = fc.record({
        law: fc.boolean(),
        token: fc.boolean(),
        at: fc.boolean(),
        moments: fc.boolean(),
        draws: fc.boolean(),
        weights: fc.boolean(),
        dense: fc.boolean(),
        hidden: fc.boolean(),
      });
      const shapes = fc.record({
        seed: fc.integer(),
        count: fc.integer({ min: 1, max: 30 }),
        topK: fc.constantFrom(0, 1, 5, 64),
        tauCount: fc.integer({ min: 0, max: 2 }),
        vocabSize: fc.constant(70),
        scale: fc.constant(3),
        parts: bits,
      });
      const sizes = fc.constantFrom(1, 2000, 9000, 1 << 20);
      fc.assert(
        fc.property(shapes, sizes, (shape, maxFrameBytes) => {
          const signal = randomSignal(shape);
          const frames = toSignalFrames(signal, { ...OPTIONS, encoding, maxFrameBytes });
          const parts = throughProto(frames).map((frame) => fromSignalFrame(frame, 70));
          assert.deepEqual(concatSignals(parts), signal);
        }),
        { seed: 20261122, numRuns: 100 },
      );
    });
  }

  it("carry dense rows as f16 in either encoding", () => {
    const dense = Float32Array.from({ length: 140 }, (_, i) => i + 1e-6);
    const signal = { from: 1, count: 2, topK: 0, tauCount: 0, dense };
    for (const encoding of ["PLAIN", "COMPACT"] as const) {
      const frames = toSignalFrames(signal, { ...OPTIONS, encoding, denseType: "f16" });
      const decoded = fromSignalFrame(throughProto(frames)[0]!, 70);
      // integers up to 2048 are exact in f16, and 1e-6 is below half a step but for 0 itself
      assert.deepEqual(
        decoded.dense!.subarray(1),
        Float32Array.from({ length: 139 }, (_, i) => i + 1),
      );
    }
  });

  it("that are malformed are refused, each with its field", () => {
    const [frame] = throughProto(
      toSignalFrames(randomSignal(SHAPE), { ...OPTIONS, encoding: "PLAIN" }),
    );
    const { plain } = frame!;
    const short = (bytes: Buffer): Buffer => bytes.subarray(0, bytes.length - 1);
    const big = Buffer.alloc(4 * 36, 0xff);
    const bad: [string, object][] = [
      ["topIds", { topIds: short(plain!.topIds) }],
      [
        "topLogits",
        { topLogits: Buffer.alloc(0), topIds: Buffer.alloc(0), topOffsets: Buffer.alloc(0) },
      ],
      ["top_ids", { topIds: big }],
      ["lse", { lse: Buffer.concat([plain!.lse, Buffer.alloc(4)]) }],
      ["rank", { rank: short(plain!.rank) }],
      ["taus", { taus: Buffer.alloc(0) }],
      ["atOffsets", { atOffsets: big.subarray(0, 40) }],
      ["atLogits", { atLogits: short(plain!.atLogits) }],
      ["drawCounts", { drawCounts: short(plain!.drawCounts) }],
      ["draw_ids", { drawIds: Buffer.alloc(plain!.drawIds.length, 0xff) }],
      ["dense", { dense: short(plain!.dense) }],
      ["dense", { denseType: 7 }],
      ["hidden", { hidden: [{ layer: 1, values: Buffer.alloc(5) }] }],
    ];
    for (const [field, change] of bad) {
      assert.throws(
        () => fromSignalFrame({ ...frame!, plain: { ...plain!, ...change } }, 70),
        (error) => isError("DATA_LOSS")(error) && (error as TandemError).field === field,
        field,
      );
    }
    assert.throws(() => fromSignalFrame({ from: 1, count: 1 }, 70), isError("DATA_LOSS"));
  });

  it("whose envelope disagrees with a compact body are refused", () => {
    const signal = randomSignal(SHAPE);
    const [frame] = throughProto(toSignalFrames(signal, { ...OPTIONS, encoding: "COMPACT" }));
    assert.deepEqual(fromSignalFrame(frame!, 70), signal);
    const bad = [
      { ...frame!, from: frame!.from + 1 },
      { ...frame!, count: 8 },
    ];
    for (const other of bad) assert.throws(() => fromSignalFrame(other, 70), isError("DATA_LOSS"));
    assert.throws(() => fromSignalFrame(frame!, 71), isError("DATA_LOSS"));
  });
});

describe("chunkSignal", () => {
  it("keeps every frame below the limit in either encoding", () => {
    const signal = randomSignal({ ...SHAPE, count: 400, topK: 64, scale: 400 });
    for (const encoding of ["PLAIN", "COMPACT"] as const) {
      for (const maxLogitError of [0, 1e-4]) {
        const maxFrameBytes = 20_000;
        const options = { ...OPTIONS, encoding, maxLogitError, maxFrameBytes };
        for (const frame of toSignalFrames(signal, options)) {
          const size = service.Score.responseSerialize({ results: [{ frames: [frame] }] }).length;
          assert.ok(size <= maxFrameBytes, `${size} bytes`);
        }
      }
    }
  });

  it("gives a row that is too large a frame of its own, and an empty signal one frame", () => {
    const signal = randomSignal({ ...SHAPE, count: 3 });
    assert.deepEqual(
      chunkSignal(signal, 1).map(({ count }) => count),
      [1, 1, 1],
    );
    const empty = { from: 4, count: 0, topK: 0, tauCount: 0 };
    assert.deepEqual(chunkSignal(empty, 1), [empty]);
  });
});

describe("sliceSignal and concatSignals", () => {
  const signal = randomSignal({ ...SHAPE, ragged: true });

  it("take a signal apart and put it together again", () => {
    const parts = [sliceSignal(signal, 0, 2), sliceSignal(signal, 2, 2), sliceSignal(signal, 2, 9)];
    assert.deepEqual(
      parts.map(({ from, count }) => [from - signal.from, count]),
      [
        [0, 2],
        [2, 0],
        [2, 7],
      ],
    );
    assert.deepEqual(concatSignals(parts), signal);
  });

  it("refuse gaps and different parts", () => {
    const bare: TeacherSignal = { from: signal.from + 2, count: 1, topK: 4, tauCount: 2 };
    const first = sliceSignal(signal, 0, 2);
    for (const next of [sliceSignal(signal, 3, 4), bare]) {
      assert.throws(() => concatSignals([first, next]), isError("DATA_LOSS"));
    }
    assert.throws(() => concatSignals([]), isError("INVALID_ARGUMENT"));
  });
});
