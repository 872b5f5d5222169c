import { rawF32 } from "../little-endian.js";
import { damaged, type FrameReader } from "./frame-reader.js";
import { chunkMemory, ESCAPE_DAMAGED, kernels, SPAN_TOO_LARGE } from "./kernels.js";
import { GAP_GROUP, MAX_GAP_BITS } from "./layout.js";
import {
  chunkAfter,
  firstChunk,
  placeHeads,
  placeWidths,
  type ListChunk,
  type ListHeads,
} from "./list-chunks.js";

const PART = "top lists";

/** Bytes of the longest varint. */
const VARINT_BYTES = 5;

export interface QuantisedLists extends ListHeads {
  readonly step: number;
  /** Bits of a gap in each group of GAP_GROUP list places. */
  readonly widths: Uint8Array;
}

/** Reads the gap blocks and the escapes behind them into logits, f32 [m]. */
export function readGapBlocks(reader: FrameReader, lists: QuantisedLists): Float32Array {
  const { offsets, widths } = lists;
  for (const width of widths) {
    if (width < 1 || width > MAX_GAP_BITS) damaged(`${PART} have gaps of ${width} bits`);
  }
  let size = 0;
  for (let chunk = firstChunk(offsets); chunk !== undefined; chunk = chunkAfter(chunk, offsets)) {
    size += blockBytes(lists, chunk);
  }
  reader.need(size, PART);
  let blocks = reader.position;
  reader.position += size;
  const logits = rawF32(offsets[offsets.length - 1] as number);
  for (let chunk = firstChunk(offsets); chunk !== undefined; chunk = chunkAfter(chunk, offsets)) {
    const end = blocks + blockBytes(lists, chunk);
    chunkMemory.bits.set(reader.bytes.subarray(blocks, end));
    blocks = end;
    readChunk(reader, lists, chunk);
    logits.set(chunkMemory.logits.subarray(0, chunk.end - chunk.start), chunk.start);
  }
  return logits;
}

function blockBytes({ offsets, widths }: QuantisedLists, chunk: ListChunk): number {
  const { row, rows, start, end, place } = chunk;
  if (place > 0) return listBytes(end - start, widths.subarray(place / GAP_GROUP));
  if (rows === 1) return listBytes(end - start, widths);
  let bytes = 0;
  let length = -1;
  let rowBytes = 0;
  for (let i = row; i < row + rows; i++) {
    const next = (offsets[i + 1] as number) - (offsets[i] as number);
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

/** From blocks to logits, both in the kernels' memory. The reader stands at the escapes and moves on. */
function readChunk(reader: FrameReader, lists: QuantisedLists, chunk: ListChunk): void {
  placeHeads(lists, chunk);
  placeWidths(lists.widths, chunk);
  const { position } = reader;
  // a gap has at most one
  const size = Math.min(reader.remaining, VARINT_BYTES * (chunk.end - chunk.start));
  chunkMemory.escapes.set(reader.bytes.subarray(position, position + size));
  const damage = kernels.readGaps(chunk.rows, lists.step, size, chunk.place > 0);
  reader.position += kernels.readEscapeBytes();
  if (damage === SPAN_TOO_LARGE) damaged(`${PART} span ${kernels.readSteps() >>> 0} steps`);
  if (damage === ESCAPE_DAMAGED) damaged(`${PART} have a gap of ${reader.varint(PART)} steps`);
}
