import { rawF32 } from "../little-endian.js";
import { damaged, type FrameReader } from "./frame-reader.js";
import { GAP_GROUP, MAX_GAP_BITS, MAX_STEPS } from "./layout.js";

const PART = "top lists";

export interface QuantisedLists {
  /** u32 [n+1]: where each row's list begins. */
  readonly offsets: Uint32Array;
  /** f32 [n]: the first logit of each row. */
  readonly maxima: Float32Array;
  readonly step: number;
  /** Bits of a gap in each group of GAP_GROUP list places. */
  readonly widths: Uint8Array;
}

/** Reads the gap blocks and the escapes behind them into logits, f32 [m]. */
export function readGapBlocks(reader: FrameReader, lists: QuantisedLists): Float32Array {
  for (const width of lists.widths) {
    if (width < 1 || width > MAX_GAP_BITS) damaged(`${PART} have gaps of ${width} bits`);
  }
  const blocks = reader.position;
  const size = blockBytes(lists);
  reader.need(size, PART);
  reader.position += size;
  const logits = rawF32(lists.offsets[lists.offsets.length - 1] as number);
  fillLogits(reader, lists, { logits, blocks });
  return logits;
}

function blockBytes({ offsets, widths }: QuantisedLists): number {
  let bytes = 0;
  let length = -1;
  let rowBytes = 0;
  for (let row = 0; row + 1 < offsets.length; row++) {
    const next = (offsets[row + 1] as number) - (offsets[row] as number);
    if (next !== length) rowBytes = listBytes(next, widths);
    length = next;
    bytes += rowBytes;
  }
  return bytes;
}

function listBytes(length: number, widths: Uint8Array): number {
  let bytes = 0;
  for (let group = 0; group * GAP_GROUP < length; group++) {
    const gaps = Math.min(GAP_GROUP, length - group * GAP_GROUP);
    bytes += Math.ceil((gaps * (widths[group] as number)) / 8);
  }
  return bytes;
}

/** By width: the lowest and the highest bit of each of four numbers of so many bits. One that is all ones carries into its highest bit when one is
 * added to the others. */
const LOWEST = Int32Array.from(
  { length: 9 },
  (_, width) => 1 | (1 << width) | (1 << (2 * width)) | (1 << (3 * width)),
);
const HIGHEST = LOWEST.map((ones, width) => ones << (width - 1));

/** Eight gaps at a time from two words where none of them is an escape, else one by one. The reader stands at the escapes and moves on. */
function fillLogits(
  reader: FrameReader,
  { offsets, maxima, step, widths }: QuantisedLists,
  { logits, blocks }: { readonly logits: Float32Array; readonly blocks: number },
): void {
  const { view } = reader;
  let at = blocks;
  for (let row = 0; row < maxima.length; row++) {
    const maximum = maxima[row] as number;
    const end = offsets[row + 1] as number;
    let steps = 0;
    let group = 0;
    for (let i = offsets[row] as number; i < end; i += GAP_GROUP) {
      const width = widths[group++] as number;
      const mask = (1 << width) - 1;
      if (i + GAP_GROUP <= end && width <= 8) {
        const half = 4 * width;
        const x = view.getInt32(at, true);
        const y = view.getInt32(at + (half >>> 3), true) >>> (half & 7);
        at += width;
        let a = x & mask;
        let b = (x >>> width) & mask;
        let c = (x >>> (2 * width)) & mask;
        let d = (x >>> (3 * width)) & mask;
        let e = y & mask;
        let f = (y >>> width) & mask;
        let g = (y >>> (2 * width)) & mask;
        let h = (y >>> (3 * width)) & mask;
        const ones = LOWEST[width] as number;
        const tops = HIGHEST[width] as number;
        if ((((((x & ~tops) + ones) & x) | (((y & ~tops) + ones) & y)) & tops) !== 0) {
          if (a === mask) a = (a + readEscape(reader)) | 0;
          if (b === mask) b = (b + readEscape(reader)) | 0;
          if (c === mask) c = (c + readEscape(reader)) | 0;
          if (d === mask) d = (d + readEscape(reader)) | 0;
          if (e === mask) e = (e + readEscape(reader)) | 0;
          if (f === mask) f = (f + readEscape(reader)) | 0;
          if (g === mask) g = (g + readEscape(reader)) | 0;
          if (h === mask) h = (h + readEscape(reader)) | 0;
        }
        a = (a + steps) | 0;
        b = (b + a) | 0;
        c = (c + b) | 0;
        d = (d + c) | 0;
        e = (e + d) | 0;
        f = (f + e) | 0;
        g = (g + f) | 0;
        steps = (h + g) | 0;
        logits[i] = maximum - a * step;
        logits[i + 1] = maximum - b * step;
        logits[i + 2] = maximum - c * step;
        logits[i + 3] = maximum - d * step;
        logits[i + 4] = maximum - e * step;
        logits[i + 5] = maximum - f * step;
        logits[i + 6] = maximum - g * step;
        logits[i + 7] = maximum - steps * step;
        continue;
      }
      const stop = Math.min(i + GAP_GROUP, end);
      let bit = at << 3;
      for (let place = i; place < stop; place++, bit += width) {
        const gap = (view.getInt32(bit >>> 3, true) >>> (bit & 7)) & mask;
        steps = (steps + (gap === mask ? gap + readEscape(reader) : gap)) | 0;
        logits[place] = maximum - steps * step;
      }
      at = (bit + 7) >>> 3;
    }
    if (steps >>> 0 > MAX_STEPS) damaged(`${PART} span ${steps >>> 0} steps`);
  }
}

function readEscape(reader: FrameReader): number {
  const more = reader.varint(PART);
  return more <= MAX_STEPS ? more : damaged(`${PART} have a gap of ${more} steps`);
}
