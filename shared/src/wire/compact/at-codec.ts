import { damaged, type FrameReader } from "./frame-reader.js";
import type { FrameWriter } from "./frame-writer.js";
import {
  gridBetween,
  gridBytes,
  gridOf,
  readGrid,
  readStep,
  writeGrid,
  writeStep,
  type Grid,
} from "./grid-codec.js";
import { LOGITS_EXACT, LOGITS_QUANTISED, LOGITS_TOGETHER } from "./layout.js";

export interface AtLogits {
  readonly offsets: Uint32Array;
  readonly logits: Float32Array;
}

/** Logits at ids the student chose: list lengths, then f32, or on a grid, each row below its own largest or all below one, whichever is
 * shorter: lists of one or two cannot pay for a largest of their own. */
export function writeAtLogits(writer: FrameWriter, at: AtLogits, maxError: number): void {
  const { offsets, logits } = at;
  for (let row = 0; row + 1 < offsets.length; row++) {
    writer.varint((offsets[row + 1] as number) - (offsets[row] as number));
  }
  const together = gridOf(logits, maxError);
  if (together === undefined) {
    writer.u8(LOGITS_EXACT);
    writer.array(logits);
    return;
  }
  const rows = rowGrids(at, together.step);
  const apart = rows.reduce(
    (bytes, grid, row) => bytes + gridBytes(rowOf(at, row).length, grid),
    0,
  );
  const areTogether = gridBytes(logits.length, together) <= apart;
  writer.u8(areTogether ? LOGITS_TOGETHER : LOGITS_QUANTISED);
  writeStep(writer, together.step, maxError);
  if (areTogether) writeGrid(writer, logits, together);
  else rows.forEach((grid, row) => writeGrid(writer, rowOf(at, row), grid));
}

function rowOf({ offsets, logits }: AtLogits, row: number): Float32Array {
  return logits.subarray(offsets[row], offsets[row + 1]);
}

function rowGrids(at: AtLogits, step: number): readonly Grid[] {
  return Array.from({ length: at.offsets.length - 1 }, (_, row) => {
    const own = rowOf(at, row);
    return own.length === 0
      ? gridBetween(0, 0, step)
      : gridBetween(Math.min(...own), Math.max(...own), step);
  });
}

/** Reads the lists of `rows` rows. */
export function readAtLogits(reader: FrameReader, rows: number): AtLogits {
  const part = "at-id logits";
  const offsets = readOffsets(reader, rows, part);
  const total = offsets[rows] as number;
  const mode = reader.u8(part);
  if (mode === LOGITS_EXACT) return { offsets, logits: reader.f32Array(total, part) };
  if (mode !== LOGITS_QUANTISED && mode !== LOGITS_TOGETHER) {
    damaged(`${part} have the unknown mode ${mode}`);
  }
  const step = readStep(reader, part);
  reader.need(total / 8, part); // a value has at least one bit
  const at = { offsets, logits: new Float32Array(total) };
  if (mode === LOGITS_TOGETHER) readGrid(reader, at.logits, { step, part });
  else for (let row = 0; row < rows; row++) readGrid(reader, rowOf(at, row), { step, part });
  return at;
}

/** List lengths as varints → offsets [rows+1]. */
export function readOffsets(reader: FrameReader, rows: number, part: string): Uint32Array {
  reader.need(rows, part);
  const offsets = new Uint32Array(rows + 1);
  let total = 0;
  for (let row = 0; row < rows; row++) {
    total += reader.varint(part);
    if (total > 0xffffffff) damaged(`${part} have more than 2^32 elements`);
    offsets[row + 1] = total;
  }
  return offsets;
}
