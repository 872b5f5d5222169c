import { f16ArrayToF32, f32ArrayToF16 } from "../../numeric/float16.js";
import { damaged, type FrameReader } from "./frame-reader.js";
import type { FrameWriter } from "./frame-writer.js";
import { gridBetween, gridOf, readGrid, readStep, writeGrid, writeStep } from "./grid-codec.js";
import { DENSE_F16, DENSE_F32, DENSE_ON_GRID } from "./layout.js";

const PART = "dense";

export interface DenseOptions {
  /** V. */
  readonly vocabSize: number;
  readonly denseType: "f16" | "f32";
  /** In nats; 0 = exact. */
  readonly maxLogitError: number;
}

/** All logits, f32 [n,V]: as f16 where that was asked for; else each row on a grid below its own largest, or, where there is none, as f32. */
export function writeDense(writer: FrameWriter, dense: Float32Array, options: DenseOptions): void {
  const { vocabSize, denseType, maxLogitError } = options;
  const grid = denseType === "f32" ? gridOf(dense, maxLogitError) : undefined;
  if (grid === undefined) {
    writer.u8(denseType === "f16" ? DENSE_F16 : DENSE_F32);
    writer.array(denseType === "f16" ? f32ArrayToF16(dense) : dense);
    return;
  }
  writer.u8(DENSE_ON_GRID);
  writeStep(writer, grid.step, maxLogitError);
  for (let start = 0; start < dense.length; start += vocabSize) {
    const row = dense.subarray(start, start + vocabSize);
    let [low, high] = [Infinity, -Infinity];
    for (const logit of row) {
      low = Math.min(low, logit);
      high = Math.max(high, logit);
    }
    writeGrid(writer, row, gridBetween(low, high, grid.step));
  }
}

/** f32 [n,V]. */
export function readDense(
  reader: FrameReader,
  { rows, vocabSize }: { readonly rows: number; readonly vocabSize: number },
): Float32Array {
  const size = rows * vocabSize;
  const type = reader.u8(PART);
  if (type === DENSE_F32) return reader.f32Array(size, PART);
  if (type === DENSE_F16) return f16ArrayToF32(reader.u16Array(size, PART));
  if (type !== DENSE_ON_GRID) return damaged(`${PART} has the unknown type ${type}`);
  const step = readStep(reader, PART);
  reader.need(size / 8, PART); // a logit has at least one bit
  const dense = new Float32Array(size);
  for (let start = 0; start < size; start += vocabSize) {
    readGrid(reader, dense.subarray(start, start + vocabSize), { step, part: PART });
  }
  return dense;
}
