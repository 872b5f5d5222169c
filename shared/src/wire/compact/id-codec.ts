import { TandemError } from "../../errors/tandem-error.js";
import { areBelow } from "../are-below.js";
import { bytesOf, rawU32 } from "../little-endian.js";
import { damaged, type FrameReader } from "./frame-reader.js";
import type { FrameWriter } from "./frame-writer.js";

const PART = "top lists";

/** Bits of an id below V; at least one. */
export function idBits(vocabSize: number): number {
  return Math.max(1, 32 - Math.clz32(vocabSize - 1));
}

/** Writes ids as numbers of `idBits` bits. Fixed widths: an entropy code would save a fifth, and cost each reader a chain of
 * look-ups in which every id waits for the one before.
 * @throws TandemError INTERNAL when one is ≥ V. */
export function writeIds(writer: FrameWriter, ids: Uint32Array, vocabSize: number): void {
  if (!areBelow(ids, vocabSize)) {
    throw new TandemError("INTERNAL", `top list ids reach beyond the vocabulary of ${vocabSize}`);
  }
  const width = idBits(vocabSize);
  if (width === 16) {
    writer.array(Uint16Array.from(ids));
    return;
  }
  const size = Math.ceil((ids.length * width) / 8);
  writer.reserve(size);
  const { view } = writer;
  let at = writer.length;
  let pending = 0;
  let fill = 0;
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] as number;
    pending |= id << fill;
    fill += width;
    if (fill >= 32) {
      view.setInt32(at, pending, true);
      at += 4;
      fill -= 32;
      pending = fill === 0 ? 0 : id >>> (width - fill);
    }
  }
  view.setInt32(at, pending, true);
  writer.length += size;
}

/** Reads `count` ids, each below `vocabSize`. */
export function readIds(reader: FrameReader, count: number, vocabSize: number): Uint32Array {
  const width = idBits(vocabSize);
  const size = Math.ceil((count * width) / 8);
  reader.need(size, PART);
  const ids = rawU32(count);
  const sound =
    width === 16 ? readWords(reader, ids, vocabSize) : readPacked(reader, ids, vocabSize);
  if (!sound) damaged(`${PART} reach beyond the vocabulary of ${vocabSize}`);
  reader.position += size;
  return ids;
}

let scratch = new Uint16Array(0);

/** Ids of two bytes are widened by the engine, faster than any loop. Fills `ids`; whether all are below V. */
function readWords({ bytes, position }: FrameReader, ids: Uint32Array, vocabSize: number): boolean {
  const count = ids.length;
  // a copy, since words are read from even addresses only
  if (scratch.length < count) scratch = new Uint16Array(count);
  const words = scratch.subarray(0, count);
  bytesOf(words).set(bytes.subarray(position, position + 2 * count));
  ids.set(words);
  const last = vocabSize - 1;
  // Without branches: which of two ids is larger is a coin toss that would be mispredicted.
  let bits = 0;
  let i = 0;
  for (const end = count - 3; i < end; i += 4) {
    const a = last - (words[i] as number);
    const b = last - (words[i + 1] as number);
    const c = last - (words[i + 2] as number);
    bits |= a | b | c | (last - (words[i + 3] as number));
  }
  for (; i < count; i++) bits |= last - (words[i] as number);
  return bits >= 0;
}

function readPacked({ view, position }: FrameReader, ids: Uint32Array, vocabSize: number): boolean {
  const width = idBits(vocabSize);
  const mask = (1 << width) - 1;
  const last = vocabSize - 1;
  let bits = 0;
  // at most 2^30: frames are bounded
  let bit = position << 3;
  for (let i = 0; i < ids.length; i++, bit += width) {
    const id = (view.getInt32(bit >>> 3, true) >>> (bit & 7)) & mask;
    ids[i] = id;
    bits |= last - id;
  }
  return bits >= 0;
}
