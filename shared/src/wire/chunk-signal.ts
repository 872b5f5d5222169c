import { columnsOf, listStart, ROW_PARTS, rowWidth } from "./signal-parts.js";
import { sliceSignal } from "./slice-signal.js";
import type { TeacherSignal } from "./teacher-signal.js";

/** Header, tags and offsets of a frame in either encoding, generously. */
const FRAME_OVERHEAD_BYTES = 512;

/** Cuts a signal into runs of rows whose frames stay below `maxBytes` in either encoding (PLAIN is the larger one); a single row that
 * is larger than that becomes a frame of its own. An empty signal gives one empty run. */
export function chunkSignal(signal: TeacherSignal, maxBytes: number): TeacherSignal[] {
  const fixed = fixedRowBytes(signal);
  const chunks: TeacherSignal[] = [];
  let start = 0;
  let bytes = FRAME_OVERHEAD_BYTES;
  for (let row = 0; row < signal.count; row++) {
    const size = fixed + raggedRowBytes(signal, row);
    if (row > start && bytes + size > maxBytes) {
      chunks.push(sliceSignal(signal, start, row));
      start = row;
      bytes = FRAME_OVERHEAD_BYTES;
    }
    bytes += size;
  }
  if (start === 0) return [signal];
  chunks.push(sliceSignal(signal, start, signal.count));
  return chunks;
}

function fixedRowBytes(signal: TeacherSignal): number {
  let bytes = 0;
  for (const part of ROW_PARTS) {
    // a rank may take 5 bytes
    if (signal[part.key] !== undefined) bytes += 5 * rowWidth(part, signal);
  }
  bytes += 4 * (signal.dense === undefined ? 0 : (columnsOf(signal.dense, signal.count) ?? 0));
  for (const values of signal.hidden?.values() ?? []) {
    bytes += 2 * (columnsOf(values, signal.count) ?? 0);
  }
  return bytes;
}

function raggedRowBytes(signal: TeacherSignal, row: number): number {
  const length = (offsets: Uint32Array | undefined): number =>
    offsets === undefined ? 0 : (offsets[row + 1] as number) - (offsets[row] as number);
  const listed =
    signal.topLogits === undefined ? 0 : listStart(signal, row + 1) - listStart(signal, row);
  const drawBytes = signal.drawWeights === undefined ? 10 : 14;
  // offsets, maximum and width of an at-list; two varints of up to 5 bytes for a draw, and its weight; COMPACT's longest ids and gaps have 24 and 15 + 32 bits
  return 20 + 10 * listed + 4 * length(signal.atOffsets) + drawBytes * length(signal.drawOffsets);
}
