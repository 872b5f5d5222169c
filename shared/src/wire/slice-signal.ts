import { invariant } from "../errors/invariant.js";
import { columnsOf, listStart, type MutableSignal, ROW_PARTS, rowWidth } from "./signal-parts.js";
import type { TeacherSignal } from "./teacher-signal.js";

/** Rows [start, end) of a signal. Arrays are views of the original, but for the offsets of ragged parts. */
export function sliceSignal(signal: TeacherSignal, start: number, end: number): TeacherSignal {
  invariant(0 <= start && start <= end && end <= signal.count, "a slice lies within its signal");
  const { topK, tauCount } = signal;
  const slice: MutableSignal = { from: signal.from + start, count: end - start, topK, tauCount };
  if (signal.logProbs) slice.logProbs = true;
  for (const part of ROW_PARTS) {
    const width = rowWidth(part, signal);
    const rows = signal[part.key]?.subarray(start * width, end * width);
    if (rows !== undefined) Object.assign(slice, { [part.key]: rows });
  }
  if (signal.topLogits !== undefined) {
    const lists = [listStart(signal, start), listStart(signal, end)] as const;
    if (signal.topIds !== undefined) slice.topIds = signal.topIds.subarray(...lists);
    slice.topLogits = signal.topLogits.subarray(...lists);
    if (signal.topOffsets !== undefined) {
      slice.topOffsets = sliceOffsets(signal.topOffsets, start, end);
    }
  }
  if (signal.atOffsets !== undefined && signal.atLogits !== undefined) {
    slice.atOffsets = sliceOffsets(signal.atOffsets, start, end);
    slice.atLogits = signal.atLogits.subarray(signal.atOffsets[start], signal.atOffsets[end]);
  }
  const { drawOffsets, drawIds, drawCounts, drawWeights } = signal;
  if (drawOffsets !== undefined && drawIds !== undefined && drawCounts !== undefined) {
    slice.drawOffsets = sliceOffsets(drawOffsets, start, end);
    slice.drawIds = drawIds.subarray(drawOffsets[start], drawOffsets[end]);
    slice.drawCounts = drawCounts.subarray(drawOffsets[start], drawOffsets[end]);
    if (drawWeights !== undefined) {
      slice.drawWeights = drawWeights.subarray(drawOffsets[start], drawOffsets[end]);
    }
  }
  if (signal.dense !== undefined) slice.dense = sliceRows(signal.dense, signal.count, start, end);
  if (signal.hidden !== undefined) {
    slice.hidden = new Map(
      [...signal.hidden].map(([layer, values]) => [
        layer,
        sliceRows(values, signal.count, start, end),
      ]),
    );
  }
  return slice;
}

function sliceOffsets(offsets: Uint32Array, start: number, end: number): Uint32Array {
  const base = offsets[start] as number;
  return offsets.subarray(start, end + 1).map((offset) => offset - base);
}

function sliceRows(values: Float32Array, count: number, start: number, end: number): Float32Array {
  const columns = columnsOf(values, count) ?? 0;
  return values.subarray(start * columns, end * columns);
}
