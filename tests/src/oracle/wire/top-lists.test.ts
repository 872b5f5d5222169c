import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { decodeCompact } from "@tandem/shared/wire/compact/decode-compact.js";
import { encodeCompact } from "@tandem/shared/wire/compact/encode-compact.js";
import { stepFor } from "@tandem/shared/wire/compact/quantise.js";
import { mulberry32 } from "../../helpers/mulberry32.js";
import {
  plainGaps,
  plainLogits,
  plainTopFrame,
  plainWidths,
  varint,
  type PlainLists,
} from "../../helpers/plain-top-frame.js";

const SEED = 20261129;
const MAX_STEPS = 2 ** 24 - 1;
/** The codec works on chunks of so many list entries. */
const CHUNK = 8192;
const SHAPE = { vocabSize: 500, step: Math.fround(0.0195), maxError: 0.01 };

interface RandomLists {
  readonly lengths: readonly number[];
  readonly vocabSize?: number;
  readonly widths: readonly number[];
  /** How many of 100 gaps are escapes. */
  readonly escapes?: number;
}

function randomLists(random: () => number, shape: RandomLists): PlainLists {
  const { lengths, vocabSize = 500, widths, escapes = 5 } = shape;
  const below = (limit: number) => Math.floor(random() * limit);
  const gapOf = (place: number) => {
    const ones = 2 ** widths[Math.floor(place / 8)]! - 1;
    if (place === 0) return 0;
    return below(100) < escapes ? ones + below(10 ** below(4)) : below(ones);
  };
  const rows = lengths.map((length) => ({
    first: Math.fround(40 * random() - 20),
    gaps: Array.from({ length }, (_, place) => gapOf(place)),
    ids: Array.from({ length }, () => below(vocabSize)),
  }));
  return { ...SHAPE, topK: Math.max(...lengths), vocabSize, widths, rows };
}

function assertRead(lists: PlainLists, label: string): void {
  const { topIds, topLogits } = decodeCompact(plainTopFrame(lists)).signal;
  assert.deepEqual(topIds, Uint32Array.from(lists.rows.flatMap(({ ids }) => ids)), label);
  assert.deepEqual(topLogits, plainLogits(lists), label);
}

function widthsOf(random: () => number, length: number, widest = 15): number[] {
  return Array.from({ length: Math.ceil(length / 8) }, () => 1 + Math.floor(random() * widest));
}

describe("reading top lists", () => {
  it("gives the bits of a frame written bit by bit, for gaps of any width and lists of any length", () => {
    const random = mulberry32(SEED);
    for (let width = 1; width <= 15; width++) {
      for (const length of [1, 2, 3, 7, 8, 9, 15, 16, 17, 64]) {
        const widths = Array.from({ length: Math.ceil(length / 8) }, () => width);
        const lists = randomLists(random, { lengths: [length, length, length], widths });
        assertRead(lists, `${length} gaps of ${width} bits`);
      }
    }
    for (let i = 0; i < 100; i++) {
      const lengths = Array.from({ length: 20 }, () => 1 + Math.floor(random() * 40));
      const widths = widthsOf(random, Math.max(...lengths));
      assertRead(randomLists(random, { lengths, widths }), `ragged lists ${i}, seed ${SEED}`);
    }
  });

  it("adds escapes wherever in a group they stand, up to the largest", () => {
    for (let width = 1; width <= 15; width++) {
      const ones = 2 ** width - 1;
      for (let escaped = 0; escaped < 256; escaped++) {
        const more = [0, 1, 127, 128, 16_383, 16_384, 300_000][escaped % 7]!;
        const gaps = Array.from({ length: 8 }, (_, i) =>
          (escaped >> i) & 1 ? ones + more : i % ones,
        );
        // the first gap of a list is 0, of which nothing is read into the rest
        const row = { first: 3.75, gaps: [0, ...gaps], ids: [...gaps.keys(), 9] };
        const widths = [width, width];
        assertRead({ ...SHAPE, topK: 9, widths, rows: [row, row] }, `${width} bits, ${escaped}`);
      }
    }
    const row = { first: 1e6, gaps: [0, MAX_STEPS], ids: [1, 2] };
    assertRead({ ...SHAPE, topK: 2, widths: [1], rows: [row] }, "all steps");
  });

  it("takes varints that are longer than they need to be", () => {
    const row = { first: 3, gaps: [0, 7], ids: [1, 2] };
    const lists = { ...SHAPE, topK: 2, widths: [2], rows: [row] };
    const frame = plainTopFrame(lists, [0x84, 0x80, 0x80, 0x80, 0x00]);
    assert.deepEqual(decodeCompact(frame).signal.topLogits, plainLogits(lists));
  });

  it("reads ids of any width", () => {
    const random = mulberry32(SEED);
    for (let bits = 1; bits <= 24; bits++) {
      const lengths = [17, ...Array.from({ length: 8 }, () => 1 + Math.floor(random() * 17))];
      const vocabSize = 2 ** bits - (bits === 24 ? 1 : 0);
      const lists = randomLists(random, { lengths, vocabSize, widths: [5, 5, 5] });
      assertRead(lists, `ids of ${bits} bits, seed ${SEED}`);
    }
  });

  it("reads more than a chunk, of many lists or of one", () => {
    const random = mulberry32(SEED);
    const many = Array.from({ length: 400 }, () => 1 + Math.floor(random() * 64));
    const whole = many.map(() => 64);
    for (const lengths of [
      many,
      whole,
      [CHUNK],
      [CHUNK, CHUNK],
      [3, CHUNK + 1, 5],
      [2 * CHUNK + 9, 1],
    ]) {
      // 9 bits: no list spans too much
      const widths = widthsOf(random, Math.max(...lengths), 9);
      const lists = randomLists(random, { lengths, vocabSize: 40_000, widths, escapes: 1 });
      assertRead(lists, `${lengths.slice(0, 3).join()}, seed ${SEED}`);
    }
  });

  it("gives arrays of their own", () => {
    const random = mulberry32(SEED);
    const frames = [1, 2].map(() =>
      plainTopFrame(randomLists(random, { lengths: [64, 64], widths: widthsOf(random, 64) })),
    );
    const [first, second] = frames.map((frame) => decodeCompact(frame).signal);
    const again = decodeCompact(frames[0]!).signal;
    assert.deepEqual(first, again);
    assert.notDeepEqual(first!.topIds, second!.topIds);
    for (const values of [first!.topIds!, first!.topLogits!, second!.topIds!]) {
      assert.equal(values.buffer.byteLength, values.byteLength);
    }
  });
});

describe("damaged top lists", () => {
  const zeros = (length: number) => Array.from({ length }, () => 0);
  const row = (gaps: number[]) => ({ first: 1, gaps, ids: zeros(gaps.length) });
  const listsOf = (gaps: number[], widths: number[]) => ({
    ...SHAPE,
    topK: gaps.length,
    widths,
    rows: [row(gaps)],
  });
  const refuses = (frame: Buffer, message: string) =>
    assert.throws(
      () => decodeCompact(frame),
      (error) =>
        error instanceof TandemError &&
        error.code === "DATA_LOSS" &&
        error.message === `compact signal frame is damaged: ${message}`,
    );

  it("are refused by what is wrong with their escapes", () => {
    const lists = listsOf([0, 1, 1, 0], [1]);
    for (const [escapes, message] of [
      [[5], "top lists needs 1 bytes where 0 are left"],
      [[5, 0x80], "top lists needs 1 bytes where 0 are left"],
      [[5, ...varint(MAX_STEPS + 1)], `top lists have a gap of ${MAX_STEPS + 1} steps`],
      [[5, ...varint(2 ** 32 - 1)], `top lists have a gap of ${2 ** 32 - 1} steps`],
      [[5, 0x80, 0x80, 0x80, 0x80, 0x10], "top lists holds a number above 32 bits"],
      [[5, 0x80, 0x80, 0x80, 0x80, 0x80, 0], "top lists holds a number above 32 bits"],
      [[5, 6, 7], "1 bytes are left over"],
    ] as const) {
      refuses(plainTopFrame(lists, escapes), message);
    }
  });

  it("are refused where a list spans too much, wherever that shows", () => {
    refuses(plainTopFrame(listsOf([0, MAX_STEPS, 1], [1])), `top lists span ${2 ** 24} steps`);
    const long = zeros(CHUNK + 16);
    long[5] = MAX_STEPS;
    long[CHUNK + 9] = 1;
    const widths = long.filter((_, i) => i % 8 === 0).map(() => 2);
    refuses(plainTopFrame(listsOf(long, widths)), `top lists span ${2 ** 24} steps`);
  });

  it("are refused for ids beyond their vocabulary and gaps without bits", () => {
    const beyond = "top lists reach beyond the vocabulary of 300";
    for (const length of [3, 8, CHUNK + 3]) {
      const ids = zeros(length);
      ids[length - 1] = 300;
      const widths = ids.filter((_, i) => i % 8 === 0).map(() => 2);
      const lists = { ...SHAPE, topK: length, vocabSize: 300, widths };
      const rows = [{ first: 1, gaps: zeros(length), ids }];
      refuses(plainTopFrame({ ...lists, rows }), beyond);
    }
    refuses(plainTopFrame(listsOf([0, 1], [0])), "top lists have gaps of 0 bits");
  });
});

describe("writing top lists", () => {
  interface Wanted {
    readonly lengths: readonly number[];
    readonly vocabSize: number;
    readonly spread: number;
  }

  /** Falling logits, at distances from steps to thousands of them. */
  function signalOf(random: () => number, { lengths, vocabSize, spread }: Wanted) {
    const rows = lengths.map((length) => {
      let logit = 30 * random();
      return Array.from({ length }, () =>
        Math.fround((logit -= spread * random() ** (random() < 0.1 ? -0.5 : 2))),
      );
    });
    const ids = rows.flatMap((list) => list.map(() => Math.floor(random() * vocabSize)));
    return { rows, ids };
  }

  function assertWritten(random: () => number, wanted: Wanted): void {
    const { lengths, vocabSize } = wanted;
    const { rows, ids } = signalOf(random, wanted);
    const topK = Math.max(...lengths);
    const logits = Float32Array.from(rows.flat());
    const offsets = Uint32Array.from({ length: rows.length + 1 }, (_, row) =>
      lengths.slice(0, row).reduce((sum, length) => sum + length, 0),
    );
    const isWhole = lengths.every((length) => length === topK);
    const signal = {
      from: 1,
      count: rows.length,
      topK,
      tauCount: 0,
      topLogits: logits,
      topIds: Uint32Array.from(ids),
      ...(!isWhole && { topOffsets: offsets }),
    };
    const frame = encodeCompact(signal, { vocabSize, maxLogitError: 0.01, denseType: "f32" });
    const step = stepFor(0.01, Math.max(...logits.map(Math.abs)))!;
    const gaps = rows.map((list) => plainGaps(list, step));
    const plain = plainTopFrame({
      topK,
      vocabSize,
      step,
      maxError: 0.01,
      widths: plainWidths(gaps, topK),
      rows: rows.map((list, row) => ({
        first: list[0]!,
        gaps: gaps[row]!,
        ids: ids.slice(offsets[row], offsets[row + 1]),
      })),
    });
    const label = `${lengths.slice(0, 4).join()} of ${vocabSize}, spread ${wanted.spread}`;
    assert.ok(frame.equals(plain), `${label}, seed ${SEED}`);
  }

  it("gives the bytes that writing bit by bit gives", () => {
    const random = mulberry32(SEED);
    for (let bits = 1; bits <= 24; bits++) {
      for (const spread of [0.001, 0.03, 0.3, 5]) {
        const lengths = Array.from({ length: 12 }, () => 1 + Math.floor(random() * 33));
        assertWritten(random, { lengths, vocabSize: 2 ** bits - (bits === 24 ? 1 : 0), spread });
      }
    }
    assertWritten(random, { lengths: [64, 64], vocabSize: 49_152, spread: 0.1 });
  });

  it("does so for more than a chunk, of many lists or of one", () => {
    const random = mulberry32(SEED);
    for (const lengths of [
      Array.from({ length: 300 }, () => 64),
      Array.from({ length: 700 }, () => 1 + Math.floor(random() * 40)),
      [CHUNK],
      [5, 2 * CHUNK + 3, CHUNK + 8, 1],
    ]) {
      assertWritten(random, { lengths, vocabSize: 49_152, spread: 0.05 });
    }
  });

  it("sends all logits exactly when one list does not fall, however late that shows", () => {
    const random = mulberry32(SEED);
    const lengths = Array.from({ length: 1000 }, () => 64);
    for (const odd of [NaN, 100]) {
      const { rows, ids } = signalOf(random, { lengths, vocabSize: 500, spread: 0.1 });
      // not among the rows of which the widths are chosen, each 62nd
      rows[999]![63] = odd;
      const topLogits = Float32Array.from(rows.flat());
      const topIds = Uint32Array.from(ids);
      const signal = { from: 1, count: 1000, topK: 64, tauCount: 0, topLogits, topIds };
      const options = { vocabSize: 500, maxLogitError: 0.01, denseType: "f32" } as const;
      const decoded = decodeCompact(encodeCompact(signal, options)).signal;
      assert.deepEqual(decoded.topLogits, topLogits);
      assert.deepEqual(decoded.topIds, topIds);
    }
  });
});
