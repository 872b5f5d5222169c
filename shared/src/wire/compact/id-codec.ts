import { TandemError } from "../../errors/tandem-error.js";
import { rawU32 } from "../little-endian.js";
import { damaged, type FrameReader } from "./frame-reader.js";
import type { FrameWriter } from "./frame-writer.js";
import { chunkMemory, CHUNK_ENTRIES, kernels } from "./kernels.js";

const PART = "top lists";

/** Bits of an id below V; at least one. */
export function idBits(vocabSize: number): number {
  return Math.max(1, 32 - Math.clz32(Math.max(0, vocabSize - 1)));
}

/** Writes ids as numbers of `idBits` bits. Fixed widths: an entropy code would save a fifth, and cost each reader a chain of
 * look-ups in which every id waits for the one before.
 * @throws TandemError INTERNAL when one is ≥ V. */
export function writeIds(writer: FrameWriter, ids: Uint32Array, vocabSize: number): void {
  const width = idBits(vocabSize);
  for (let start = 0; start < ids.length; start += CHUNK_ENTRIES) {
    const chunk = ids.subarray(start, start + CHUNK_ENTRIES);
    chunkMemory.ids.set(chunk);
    const largest = kernels.writeIds(chunk.length, width) >>> 0;
    if (largest >= vocabSize) {
      throw new TandemError("INTERNAL", `top list ids reach beyond the vocabulary of ${vocabSize}`);
    }
    writer.array(chunkMemory.bits.subarray(0, Math.ceil((chunk.length * width) / 8)));
  }
}

/** Reads `count` ids, each below `vocabSize`. */
export function readIds(reader: FrameReader, count: number, vocabSize: number): Uint32Array {
  const width = idBits(vocabSize);
  reader.need(Math.ceil((count * width) / 8), PART);
  const ids = rawU32(count);
  for (let start = 0; start < count; start += CHUNK_ENTRIES) {
    const length = Math.min(CHUNK_ENTRIES, count - start);
    const end = reader.position + Math.ceil((length * width) / 8);
    chunkMemory.bits.set(reader.bytes.subarray(reader.position, end));
    const largest = kernels.readIds(length, width) >>> 0;
    if (largest >= vocabSize) damaged(`${PART} reach beyond the vocabulary of ${vocabSize}`);
    ids.set(chunkMemory.ids.subarray(0, length), start);
    reader.position = end;
  }
  return ids;
}
