import { readOffsets } from "./at-codec.js";
import { damaged, type FrameReader } from "./frame-reader.js";
import type { FrameWriter } from "./frame-writer.js";

export interface Draws {
  readonly offsets: Uint32Array;
  /** Rising within a row. */
  readonly ids: Uint32Array;
  /** ≥ 1. */
  readonly counts: Uint32Array;
}

/** Sampled ids: list lengths, then for each id its distance from the one before (the first from −1, less one) and its count less one, as varints. */
export function writeDraws(writer: FrameWriter, draws: Draws): void {
  const rows = draws.offsets.length - 1;
  for (let row = 0; row < rows; row++) {
    writer.varint((draws.offsets[row + 1] as number) - (draws.offsets[row] as number));
  }
  for (let row = 0; row < rows; row++) {
    let next = 0;
    const end = draws.offsets[row + 1] as number;
    for (let i = draws.offsets[row] as number; i < end; i++) {
      const id = draws.ids[i] as number;
      writer.varint(id - next);
      writer.varint((draws.counts[i] as number) - 1);
      next = id + 1;
    }
  }
}

/** Reads the draws of `rows` rows, ids below `vocabSize`. */
export function readDraws(reader: FrameReader, rows: number, vocabSize: number): Draws {
  const part = "draws";
  const offsets = readOffsets(reader, rows, part);
  const total = offsets[rows] as number;
  reader.need(2 * total, part); // two varints each
  const ids = new Uint32Array(total);
  const counts = new Uint32Array(total);
  for (let row = 0; row < rows; row++) {
    let next = 0;
    const end = offsets[row + 1] as number;
    for (let i = offsets[row] as number; i < end; i++) {
      const id = next + reader.varint(part);
      const count = reader.varint(part) + 1;
      if (id >= vocabSize) damaged(`${part} reach beyond the vocabulary of ${vocabSize}`);
      if (count > 0xffffffff) damaged(`${part} hold a number above 32 bits`);
      ids[i] = id;
      counts[i] = count;
      next = id + 1;
    }
  }
  return { offsets, ids, counts };
}
