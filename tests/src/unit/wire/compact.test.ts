import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { decodeCompact } from "@tandem/shared/wire/compact/decode-compact.js";
import { encodeCompact } from "@tandem/shared/wire/compact/encode-compact.js";
import { sliceSignal } from "@tandem/shared/wire/slice-signal.js";
import type { TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";
import { randomSignal } from "../../helpers/random-signal.js";

const SEED = 20261122;
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

const NONE = Object.fromEntries(Object.keys(ALL).map((part) => [part, false])) as typeof ALL;

const shapes = fc.record({
  seed: fc.integer(),
  count: fc.integer({ min: 0, max: 20 }),
  topK: fc.constantFrom(0, 1, 2, 3, 8, 17, 64),
  tauCount: fc.integer({ min: 0, max: 2 }),
  // 65,536 has the ids of two bytes
  vocabSize: fc.constantFrom(64, 65, 151, 65_536, 200_000),
  scale: fc.constantFrom(0, 0.001, 1, 30, 3000),
  ragged: fc.boolean(),
  logProbs: fc.boolean(),
  withoutIds: fc.boolean(),
  parts: fc.record({
    law: fc.boolean(),
    token: fc.boolean(),
    at: fc.boolean(),
    moments: fc.boolean(),
    draws: fc.boolean(),
    weights: fc.boolean(),
    dense: fc.boolean(),
    hidden: fc.boolean(),
  }),
});

/** Everything but the quantised logits comes back as it was; those within the bound. Tokens are quantised as log-probabilities only. */
function assertSame(actual: TeacherSignal, expected: TeacherSignal, maxLogitError: number): void {
  assert.deepEqual(Object.keys(actual).sort(), Object.keys(expected).sort());
  for (const [key, value] of Object.entries(expected)) {
    const got = actual[key as keyof TeacherSignal];
    const quantised = [
      "topLogits",
      "atLogits",
      "dense",
      ...(expected.logProbs ? ["tokenLogit"] : []),
    ];
    if (!quantised.includes(key)) {
      assert.deepEqual(got, value, key);
      continue;
    }
    (value as Float32Array).forEach((logit, i) => {
      const error = Math.abs((got as Float32Array)[i]! - logit);
      assert.ok(error <= maxLogitError, `${key}[${i}] is off by ${error}`);
    });
  }
}

describe("the compact frame", () => {
  it("gives a row the same bits whatever rows travel with it", () => {
    for (const [scale, logProbs] of [
      [0.001, false],
      [1, false],
      [1, true],
      [30, false],
      [200, true],
    ] as const) {
      const signal = randomSignal({
        seed: 5,
        count: 12,
        topK: 8,
        tauCount: 0,
        vocabSize: 151,
        scale,
        logProbs,
        parts: ALL,
      });
      for (const maxLogitError of [0.002, 0.01, 0.5]) {
        const decode = (part: TeacherSignal) =>
          decodeCompact(encodeCompact(part, { vocabSize: 151, maxLogitError, denseType: "f32" }))
            .signal;
        const whole = decode(signal);
        for (const [start, end] of [
          [0, 1],
          [1, 7],
          [7, 12],
        ] as const) {
          const part = decode(sliceSignal(signal, start, end));
          const { topLogits, atLogits, tokenLogit, dense } = sliceSignal(whole, start, end);
          assert.deepEqual(part.topLogits, topLogits, `top ${start} ${scale} ${maxLogitError}`);
          assert.deepEqual(part.atLogits, atLogits, `at ${start} ${scale} ${maxLogitError}`);
          assert.deepEqual(part.tokenLogit, tokenLogit, `token ${start} ${scale}`);
          assert.deepEqual(part.dense, dense, `dense ${start} ${scale}`);
        }
      }
    }
  });

  it("gives back every part exactly, and quantised logits within the bound", () => {
    const errors = fc.constantFrom(0, 1e-4, 0.01, 0.5);
    fc.assert(
      fc.property(shapes, errors, (shape, maxLogitError) => {
        const { vocabSize, parts } = shape;
        const dense = parts.dense && vocabSize < 1000;
        const signal = randomSignal({ ...shape, parts: { ...parts, dense } });
        const frame = encodeCompact(signal, { vocabSize, maxLogitError, denseType: "f32" });
        assertSame(decodeCompact(frame).signal, signal, maxLogitError);
      }),
      { seed: SEED, numRuns: 300 },
    );
  });

  it("keeps rows falling, whatever the quantisation", () => {
    const signal = randomSignal({ ...BASE, scale: 1 });
    const options = { vocabSize: 500, maxLogitError: 0.5, denseType: "f32" } as const;
    const { topLogits } = decodeCompact(encodeCompact(signal, options)).signal;
    topLogits!.forEach((logit, i) => assert.ok(i % 64 === 0 || logit <= topLogits![i - 1]!));
  });

  it("sends logits exactly where no step can hold the bound", () => {
    for (const odd of [Infinity, -Infinity, 1e30]) {
      const signal = randomSignal({ ...BASE, topK: 3, count: 2 });
      const topLogits = Float32Array.from([odd > 0 ? odd : 5, 4, odd < 0 ? odd : 3, 3, 2, 1]);
      const atLogits = Float32Array.from([odd]);
      const atOffsets = Uint32Array.from([0, 0, 1]);
      const frame = encodeCompact(
        { ...signal, topLogits, atLogits, atOffsets },
        { vocabSize: 500, maxLogitError: 0.01, denseType: "f32" },
      );
      const decoded = decodeCompact(frame).signal;
      assert.deepEqual(decoded.topLogits, topLogits);
      assert.deepEqual(decoded.atLogits, atLogits);
    }
  });

  it("takes any bound, however odd", () => {
    const signal = randomSignal({ ...BASE, scale: 1 });
    for (const maxLogitError of [-1, NaN, Infinity, 1e-30, 1e30]) {
      const options = { vocabSize: 500, maxLogitError, denseType: "f32" } as const;
      const { topLogits } = decodeCompact(encodeCompact(signal, options)).signal;
      if (maxLogitError !== 1e30) assert.deepEqual(topLogits, signal.topLogits);
    }
  });

  it("does not disguise rows that do not fall or hold NaN", () => {
    for (const values of [
      [1, 2, 0],
      [2, NaN, 0],
      [NaN, NaN, NaN],
    ]) {
      const topLogits = Float32Array.from(values);
      const signal = {
        from: 1,
        count: 1,
        topK: 3,
        tauCount: 0,
        topLogits,
        topIds: new Uint32Array(3),
      };
      const options = { vocabSize: 5, maxLogitError: 0.01, denseType: "f32" } as const;
      assert.deepEqual(decodeCompact(encodeCompact(signal, options)).signal.topLogits, topLogits);
    }
  });

  it("sends the logit of a row's best token once", () => {
    const topLogits = Float32Array.from([5, 4, 3, 1]);
    const topIds = Uint32Array.from([0, 1, 2, 3]);
    const lists = { from: 1, count: 2, topK: 2, tauCount: 0, topIds, topLogits };
    const options = { vocabSize: 5, maxLogitError: 0.01, denseType: "f32" } as const;
    const sizeOf = (rank: number[], tokenLogit: number[]) => {
      const tokens = { rank: Uint32Array.from(rank), tokenLogit: Float32Array.from(tokenLogit) };
      const frame = encodeCompact({ ...lists, ...tokens }, options);
      assert.deepEqual(decodeCompact(frame).signal.tokenLogit, tokens.tokenLogit);
      return frame.length;
    };
    const none = sizeOf([1, 1], [4, 1]);
    assert.equal(sizeOf([0, 1], [5, 1]), none - 4);
    // a rank of 0 beside a logit that is not the list's: told as it is
    assert.equal(sizeOf([0, 1], [4, 1]), none);
  });

  it("takes a fraction of the bytes for log-probabilities of tokens and of the student's own ids", () => {
    const count = 64;
    const parts = { ...NONE, token: true, at: true };
    const short = randomSignal({ ...BASE, count, topK: 0, tauCount: 0, parts, logProbs: true });
    const ones = Uint32Array.from({ length: count + 1 }, (_, row) => row);
    const { tokenLogit, atLogits } = short;
    const own = {
      rank: new Uint32Array(count),
      atOffsets: ones,
      atLogits: atLogits!.slice(0, count),
    };
    const options = { vocabSize: 500, maxLogitError: 0.01, denseType: "f32" } as const;
    const frame = encodeCompact({ ...short, ...own, tokenLogit: tokenLogit! }, options);
    // ranks and list lengths take a byte each; logits of ±15 in steps of 0.02 take 11 bits each
    assert.ok(frame.length <= count * (1 + 1 + 2 * 1.375) + 50, `${frame.length} bytes`);
    const raw = { ...own, from: 1, count, topK: 0, tauCount: 0, tokenLogit: tokenLogit! };
    // where tokens are exact: four bytes each
    assert.ok(encodeCompact(raw, options).length > frame.length + 2 * count);
  });

  it("writes dense rows on a grid of their own, in as many bits as their range needs", () => {
    // 1,000 logits over 0 to 9.99, and half as far: 500 and 250 steps of just under 0.02, in 9 and 8 bits.
    const dense = Float32Array.from({ length: 2000 }, (_, i) => (i < 1000 ? i / 100 : i / 200));
    const signal = { from: 1, count: 2, topK: 0, tauCount: 0 };
    const options = { vocabSize: 1000, maxLogitError: 0.01, denseType: "f32" } as const;
    const frame = encodeCompact({ ...signal, dense }, options);
    const without = encodeCompact(signal, options);
    assert.equal(frame.length - without.length, 9 + (5 + 1125) + (5 + 1000));
    const decoded = decodeCompact(frame).signal.dense!;
    decoded.forEach((logit, i) => assert.ok(Math.abs(logit - dense[i]!) <= 0.01, `logit ${i}`));
  });

  it("keeps dense rows exactly where nothing is allowed, or something is infinite", () => {
    for (const [maxLogitError, low] of [
      [0, -3],
      [0.01, -Infinity],
    ] as const) {
      const dense = Float32Array.of(1, low, 2.123456, 0);
      const frame = encodeCompact(
        { from: 1, count: 1, topK: 0, tauCount: 0, dense },
        { vocabSize: 4, maxLogitError, denseType: "f32" },
      );
      assert.deepEqual(decodeCompact(frame).signal.dense, dense);
    }
  });

  it("rounds dense rows to f16 on request", () => {
    const dense = Float32Array.from([1.0001, -3, 65504, 0]);
    const frame = encodeCompact(
      { from: 1, count: 2, topK: 0, tauCount: 0, dense },
      { vocabSize: 2, maxLogitError: 0, denseType: "f16" },
    );
    // 1.0001 lies between 1 and 1 + 2^-10
    assert.deepEqual(decodeCompact(frame).signal.dense, Float32Array.from([1, -3, 65504, 0]));
  });

  it("refuses to encode parts of the wrong length", () => {
    const options = { vocabSize: 4, maxLogitError: 0, denseType: "f32" } as const;
    const base = { from: 1, count: 2, topK: 1, tauCount: 0 };
    const bad: TeacherSignal[] = [
      { ...base, lse: new Float32Array(3) },
      { ...base, topIds: new Uint32Array(2) },
      { ...base, topLogits: new Float32Array(3) },
      { ...base, dense: new Float32Array(6) },
      { ...base, atOffsets: Uint32Array.from([0, 2, 1]), atLogits: new Float32Array(1) },
      { ...base, topIds: new Uint32Array(2).fill(4), topLogits: new Float32Array(2) },
      { ...base, topIds: new Uint32Array(2).fill(2 ** 32 - 1), topLogits: new Float32Array(2) },
      ...[
        [0, 0, 1],
        [0, 2, 2],
        [0, 1, 3],
        [0, 1],
        [1, 2, 3],
      ].map((topOffsets) => ({
        ...base,
        topOffsets: Uint32Array.from(topOffsets),
        topIds: new Uint32Array(2),
        topLogits: new Float32Array(2),
      })),
    ];
    for (const signal of bad) {
      assert.throws(() => encodeCompact(signal, options), isError("INTERNAL"));
    }
  });
});

const BASE = { seed: 1, count: 5, topK: 64, tauCount: 2, vocabSize: 500, scale: 5, parts: ALL };

function isError(...codes: string[]) {
  return (error: unknown): boolean => error instanceof TandemError && codes.includes(error.code);
}

function withChecksum(frame: Buffer): Buffer {
  frame.writeUInt32LE(crc32(frame.subarray(0, -4)), frame.length - 4);
  return frame;
}

describe("damaged compact frames", () => {
  const options = { vocabSize: 500, maxLogitError: 0.01, denseType: "f32" } as const;
  const { hidden, dense, ...small } = randomSignal(BASE);
  const frame = encodeCompact(small, options);
  const wide = encodeCompact({ ...small, hidden: hidden!, dense: dense! }, options);

  it("are found by the checksum, wherever a bit is flipped", () => {
    for (let byte = 0; byte < frame.length; byte++) {
      const copy = Buffer.from(frame);
      copy[byte]! ^= 1 << (byte % 8);
      assert.throws(() => decodeCompact(copy), isError("DATA_LOSS", "INVALID_ARGUMENT"));
    }
  });

  it("are refused at every length", () => {
    for (let length = 0; length < frame.length; length++) {
      assert.throws(() => decodeCompact(frame.subarray(0, length)), isError("DATA_LOSS"));
    }
    for (let length = 10; length < wide.length; length += 7) {
      const cut = withChecksum(Buffer.from(wide.subarray(0, length)));
      assert.throws(() => decodeCompact(cut), isError("DATA_LOSS"));
    }
    const longer = withChecksum(Buffer.concat([frame, Buffer.alloc(1)]));
    assert.throws(() => decodeCompact(longer), isError("DATA_LOSS"));
  });

  it("never crash, hang or allocate freely when a forger fixes the checksum", () => {
    const edit = fc.record({ at: fc.nat(wide.length - 5), byte: fc.integer({ min: 0, max: 255 }) });
    let refused = 0;
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), fc.boolean(), (edits, near) => {
        const copy = Buffer.from(near ? frame : wide);
        // half of the edits go to the header and the first part, where the counts are
        for (const { at, byte } of edits) copy[near ? at % 60 : at % copy.length] = byte;
        try {
          const { signal } = decodeCompact(withChecksum(copy));
          const arrays = Object.values(signal).filter((value) => ArrayBuffer.isView(value));
          const bytes = arrays.reduce((sum, array) => sum + array.byteLength, 0);
          assert.ok(bytes <= 40 * copy.length, `${bytes} bytes from ${copy.length}`);
        } catch (error) {
          assert.ok(isError("DATA_LOSS", "INVALID_ARGUMENT")(error), String(error));
          refused++;
        }
      }),
      { seed: SEED, numRuns: 3000 },
    );
    assert.ok(refused > 1000, `only ${refused} were refused`);
  });

  it("with ids beyond their vocabulary are refused", () => {
    const signal = { from: 1, count: 1, topK: 2, tauCount: 0 };
    for (const vocabSize of [10, 40_000]) {
      const topIds = Uint32Array.from([3, vocabSize - 1]);
      const forged = encodeCompact(
        { ...signal, topIds, topLogits: new Float32Array(2) },
        { ...options, vocabSize },
      );
      // V stands behind magic, version, parts and four numbers of a byte; one less of it takes as many bits
      assert.equal(forged[10]! & 0x7f, vocabSize & 0x7f);
      forged[10]! -= 1;
      assert.throws(() => decodeCompact(withChecksum(forged)), isError("DATA_LOSS"));
    }
  });

  it("of another format or version are invalid arguments", () => {
    const other = Buffer.from(frame);
    other[3] = 1;
    assert.throws(() => decodeCompact(other), isError("INVALID_ARGUMENT"));
    other[0] = 0;
    assert.throws(() => decodeCompact(other), isError("INVALID_ARGUMENT"));
  });

  it("claiming huge counts are refused before anything is allocated", () => {
    const huge = [0xff, 0xff, 0xff, 0xff, 0x0f]; // 2^32 − 1
    const parts = [0x0001, 0x0002, 0x0008, 0x0080, 0x0100, 0x1000, 0x2000, 0x4000];
    for (const bits of parts) {
      for (const [n, k, j] of [
        [huge, [0], [0]],
        [huge, huge, [0]],
        [[1], huge, huge],
        [huge, [1], [1]],
      ]) {
        const header = [0x54, 0x53, 0x46, 3, bits & 255, bits >> 8, 1, ...n!, ...k!, ...j!, 50];
        const body = [0, 1, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        const forged = withChecksum(Buffer.from([...header, ...body, 0, 0, 0, 0]));
        assert.throws(() => decodeCompact(forged), isError("DATA_LOSS"));
      }
    }
  });
});
