import { invariant } from "../../errors/invariant.js";
import { canonicalCodes, codeLengths } from "./code-lengths.js";
import type { FrameWriter } from "./frame-writer.js";
import { MAX_CLASSES } from "./layout.js";

/** Ids looked at to fit the code; more of them no longer change it. */
const SAMPLE_SIZE = 1024;

export interface IdCode {
  /** Per class: bits of its code (0 = class does not occur), and the code itself, reversed. */
  readonly lengths: Uint8Array;
  readonly codes: Uint16Array;
}

/** A prefix code for the classes of these ids; every class that occurs has a code. */
export function fitIdCode(ids: Uint32Array, topK: number): IdCode {
  let all = 0;
  for (let i = 0; i < ids.length; i++) all |= (ids[i] as number) + 1;
  const classes = ids.length === 0 ? 0 : 32 - Math.clz32(all);
  invariant(classes <= MAX_CLASSES, `ids of a compact frame are below 2^${MAX_CLASSES} − 1`);
  const counts = new Uint32Array(classes);
  const rowStride = Math.ceil(ids.length / SAMPLE_SIZE);
  // a sample may miss a class, so all of them get a code then
  if (rowStride > 1) counts.fill(1);
  for (let start = 0; start < ids.length; start += rowStride * topK) {
    for (let i = start; i < start + topK; i++) {
      const bitsBelow = 31 - Math.clz32((ids[i] as number) + 1);
      counts[bitsBelow] = (counts[bitsBelow] as number) + 1;
    }
  }
  const lengths = codeLengths(counts);
  const codes = canonicalCodes(lengths) ?? new Uint16Array(classes);
  return { lengths, codes };
}

/** Writes the ids' bits: for each the code of its class (bit length of id + 1, less one), then the bits below the leading one. */
export function writeIdBits(writer: FrameWriter, ids: Uint32Array, code: IdCode): void {
  const { lengths, codes } = code;
  writer.reserve(4 * ids.length);
  const { words } = writer;
  let word = writer.length >>> 2;
  let fill = (writer.length & 3) << 3;
  let pending = (words[word] as number) & ((1 << fill) - 1);
  for (let i = 0; i < ids.length; i++) {
    const value = (ids[i] as number) + 1;
    const bitsBelow = 31 - Math.clz32(value);
    const codeBits = lengths[bitsBelow] as number;
    const bits = (codes[bitsBelow] as number) | ((value ^ (1 << bitsBelow)) << codeBits);
    const size = codeBits + bitsBelow; // at most 8 + 23
    words[word] = pending |= bits << fill;
    // no branch: whether a word is full is a coin toss that would be mispredicted
    fill += size;
    const full = fill >>> 5;
    fill &= 31;
    word += full;
    pending = (pending & (full - 1)) | ((bits >>> (size - fill)) & -full);
  }
  words[word] = pending;
  writer.length = (word << 2) + ((fill + 7) >>> 3);
}
