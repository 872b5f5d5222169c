import { canonicalCodes } from "./code-lengths.js";
import { damaged, type FrameReader } from "./frame-reader.js";
import {
  ESCAPE_QUOTIENT,
  ESCAPE_VALUE_BITS,
  LOGITS_EXACT,
  LOGITS_QUANTISED,
  MAX_CLASSES,
  MAX_CODE_BITS,
} from "./layout.js";
import type { TopLists } from "./write-top.js";
import { zoneCount } from "./write-gaps.js";

const PART = "top lists";

export interface TopShape {
  readonly rows: number;
  /** k ≥ 1. */
  readonly topK: number;
  /** V: ids are below. */
  readonly vocabSize: number;
}

/** Reads the top lists of a frame. */
export function readTop(reader: FrameReader, shape: TopShape): TopLists {
  const { rows, topK } = shape;
  const table = decodingTable(reader);
  const mode = reader.u8(PART);
  if (mode !== LOGITS_EXACT && mode !== LOGITS_QUANTISED) damaged(`${PART} have the mode ${mode}`);
  const step = mode === LOGITS_EXACT ? 0 : readStep(reader);
  const parameters = mode === LOGITS_EXACT ? EMPTY : reader.nibbles(zoneCount(topK), PART);
  const idBytes = reader.u32(PART);
  const idStart = reader.position;
  reader.need(idBytes, PART);
  // an id has at least one bit, a gap as well
  if (rows * topK > 8 * idBytes) damaged(`${PART} put ${rows * topK} ids into ${idBytes} bytes`);
  reader.position += idBytes;
  const ids = new Uint32Array(rows * topK);
  const idStream = { table, ids, firstBit: idStart << 3, vocabSize: shape.vocabSize };
  let idEnd: number;
  let logits: Float32Array;
  if (mode === LOGITS_EXACT) {
    logits = reader.f32Array(rows * topK, PART);
    idEnd = readIds(reader, idStream);
  } else {
    const maxima = reader.f32Array(rows, PART);
    reader.need((rows * (topK - 1)) / 8, PART);
    logits = new Float32Array(rows * topK);
    idEnd = readBoth(reader, idStream, { logits, maxima, topK, step, parameters });
  }
  if (Math.ceil(idEnd / 8) !== idStart + idBytes) damaged(`${PART} end their ids elsewhere`);
  return { topK, ids, logits };
}

const EMPTY = new Uint8Array(0);

function readStep(reader: FrameReader): number {
  const step = reader.f32(PART);
  reader.f32(PART); // the error bound, for people and programs that want to know it
  return step > 0 && step < Infinity ? step : damaged(`${PART} have the step ${step}`);
}

/** For each value of the next 8 bits: class | code length << 8. */
function decodingTable(reader: FrameReader): Uint16Array {
  const classes = reader.u8(PART);
  if (classes > MAX_CLASSES) damaged(`${PART} name ${classes} classes of ${MAX_CLASSES}`);
  const lengths = reader.nibbles(classes, PART);
  const table = new Uint16Array(1 << MAX_CODE_BITS);
  if (classes === 0) return table;
  const codes = canonicalCodes(lengths);
  if (codes === undefined) return damaged(`${PART} have an impossible prefix code`);
  // a lone symbol has the code 0; a 1 bit in its place is read as the same symbol
  const lone = lengths.reduce((used, length) => used + (length > 0 ? 1 : 0), 0) === 1;
  for (let symbol = 0; symbol < classes; symbol++) {
    const length = lengths[symbol] as number;
    if (length === 0) continue;
    const entry = symbol | (length << 8);
    for (let i = codes[symbol] as number; i < table.length; i += lone ? 1 : 1 << length) {
      table[i] = entry;
    }
  }
  return table;
}

interface IdStream {
  readonly table: Uint16Array;
  readonly ids: Uint32Array;
  readonly firstBit: number;
  readonly vocabSize: number;
}

/** Fills `ids`; the bit behind the last one. */
function readIds(reader: FrameReader, { table, ids, firstBit, vocabSize }: IdStream): number {
  const { words } = reader;
  let bit = firstBit;
  let invalid = 0;
  for (let i = 0; i < ids.length; i++) {
    const index = bit >>> 5;
    const shift = bit & 31;
    const window =
      ((words[index] as number) >>> shift) | (((words[index + 1] as number) << 1) << (31 - shift));
    const entry = table[window & 0xff] as number;
    const bitsBelow = entry & 0xff;
    const codeBits = entry >>> 8;
    const id = ((1 << bitsBelow) | ((window >>> codeBits) & ((1 << bitsBelow) - 1))) - 1;
    ids[i] = id;
    invalid |= vocabSize - 1 - id; // negative when the id is too large, and stays so
    bit += codeBits + bitsBelow;
  }
  if (invalid < 0) damaged(`${PART} reach beyond the vocabulary of ${vocabSize}`);
  return bit;
}

interface GapStream {
  readonly logits: Float32Array;
  readonly maxima: Float32Array;
  readonly topK: number;
  readonly step: number;
  readonly parameters: Uint8Array;
}

/** Fills ids and logits in one loop: either stream alone is a chain in which each position waits for the one before, so that a
 * processor does two in the time of one. Returns the bit behind the last id; the reader moves behind the gaps. */
function readBoth(reader: FrameReader, idStream: IdStream, gapStream: GapStream): number {
  const { table, ids, firstBit, vocabSize } = idStream;
  const { logits, maxima, topK, step, parameters } = gapStream;
  const { words } = reader;
  let idBit = firstBit;
  let bit = reader.position << 3;
  let invalid = 0;
  for (let row = 0, at = 0; row < maxima.length; row++) {
    const maximum = maxima[row] as number;
    let steps = 0;
    for (let zone = -1; zone < parameters.length; zone++) {
      const parameter = zone < 0 ? 0 : (parameters[zone] as number);
      const mask = (1 << parameter) - 1;
      const end = row * topK + (zone < 0 ? 1 : Math.min(topK, 2 << zone));
      for (; at < end; at++) {
        const idIndex = idBit >>> 5;
        const idShift = idBit & 31;
        const idWindow =
          ((words[idIndex] as number) >>> idShift) |
          (((words[idIndex + 1] as number) << 1) << (31 - idShift));
        const entry = table[idWindow & 0xff] as number;
        const bitsBelow = entry & 0xff;
        const codeBits = entry >>> 8;
        const id = ((1 << bitsBelow) | ((idWindow >>> codeBits) & ((1 << bitsBelow) - 1))) - 1;
        ids[at] = id;
        invalid |= vocabSize - 1 - id;
        idBit += codeBits + bitsBelow;
        if (zone >= 0) {
          const index = bit >>> 5;
          const shift = bit & 31;
          const window =
            ((words[index] as number) >>> shift) |
            (((words[index + 1] as number) << 1) << (31 - shift));
          const quotient = 31 - Math.clz32(window & -window & 0xffff);
          if (quotient >= 0) {
            steps += (quotient << parameter) | ((window >>> (quotient + 1)) & mask);
            bit += quotient + 1 + parameter;
          } else {
            steps += readEscaped(words, bit + ESCAPE_QUOTIENT);
            bit += ESCAPE_QUOTIENT + ESCAPE_VALUE_BITS;
          }
        }
        logits[at] = maximum - steps * step;
      }
    }
  }
  if (invalid < 0) damaged(`${PART} reach beyond the vocabulary of ${vocabSize}`);
  reader.endBits(bit, PART);
  return idBit;
}

function readEscaped(words: Int32Array, bit: number): number {
  const index = bit >>> 5;
  const shift = bit & 31;
  const window =
    ((words[index] as number) >>> shift) | (((words[index + 1] as number) << 1) << (31 - shift));
  return window & 0xffffff;
}
