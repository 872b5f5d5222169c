import { damaged, type FrameReader } from "./frame-reader.js";
import type { FrameWriter } from "./frame-writer.js";
import { MAX_STEPS } from "./layout.js";
import { fitsInSteps, stepFor } from "./quantise.js";

/** Logits as whole multiples of a step: as far below `largest`, a multiple too, as `bits` bits can say. The grid is the same wherever a sequence is cut
 * into frames, and so are the decoded bits. */
export interface Grid {
  readonly step: number;
  readonly largest: number;
  readonly bits: number;
}

/** The grid on which all logits lie within `maxError`; undefined when there is none (0, infinities, magnitudes where f32 itself is
 * coarser, a range of 2^24 steps). */
export function gridOf(logits: Float32Array, maxError: number): Grid | undefined {
  let high = -Infinity;
  let low = Infinity;
  for (let i = 0; i < logits.length; i++) {
    high = Math.max(high, logits[i] as number); // NaN stays
    low = Math.min(low, logits[i] as number);
  }
  const magnitude = logits.length === 0 ? 0 : Math.max(Math.abs(high), Math.abs(low));
  const step = maxError > 0 ? stepFor(maxError, magnitude) : undefined;
  if (step === undefined) return undefined;
  if (logits.length === 0) return { step, largest: 0, bits: 1 };
  return fitsInSteps(high - low, step) ? gridBetween(low, high, step) : undefined;
}

/** The part of a step's grid that holds what lies between two logits. */
export function gridBetween(low: number, high: number, step: number): Grid {
  const largest = Math.round(high / step);
  return { step, largest, bits: bitsOf(largest - Math.round(low / step)) };
}

function bitsOf(steps: number): number {
  return Math.max(1, 32 - Math.clz32(steps));
}

/** Bytes of the largest multiple and a width. */
const ROW_HEADER_BYTES = 5;

/** Bytes of `count` logits on a grid, without its step. */
export function gridBytes(count: number, { bits }: Grid): number {
  return count === 0 ? 0 : ROW_HEADER_BYTES + Math.ceil((count * bits) / 8);
}

/** The step, and the error bound for people and programs that want to know it. */
export function writeStep(writer: FrameWriter, step: number, maxError: number): void {
  writer.f32(step);
  writer.f32(maxError);
}

export function readStep(reader: FrameReader, part: string): number {
  const step = reader.f32(part);
  reader.f32(part);
  return step > 0 && step < Infinity ? step : damaged(`${part} have the step ${step}`);
}

/** Nothing for no logits; else the largest multiple as i32, the width, and how many steps each logit lies below it as a bit stream. */
export function writeGrid(writer: FrameWriter, logits: Float32Array, grid: Grid): void {
  if (logits.length === 0) return;
  writer.u32(grid.largest >>> 0);
  writer.u8(grid.bits);
  const size = Math.ceil((logits.length * grid.bits) / 8);
  writer.reserve(size);
  const { bytes } = writer;
  let at = writer.length;
  let pending = 0;
  let fill = 0;
  for (let i = 0; i < logits.length; i++) {
    pending |= (grid.largest - Math.round((logits[i] as number) / grid.step)) << fill;
    fill += grid.bits; // at most 7 + 24
    while (fill >= 8) {
      bytes[at++] = pending & 0xff;
      pending >>>= 8;
      fill -= 8;
    }
  }
  if (fill > 0) bytes[at] = pending;
  writer.length += size;
}

/** Fills `out` with what `writeGrid` wrote. */
export function readGrid(
  reader: FrameReader,
  out: Float32Array,
  { step, part }: { readonly step: number; readonly part: string },
): void {
  if (out.length === 0) return;
  const largest = reader.i32(part);
  const bits = reader.u8(part);
  if (bits < 1 || bits > bitsOf(MAX_STEPS)) damaged(`${part} are ${bits} bits wide`);
  const size = Math.ceil((out.length * bits) / 8);
  reader.need(size, part);
  const { bytes } = reader;
  const mask = (1 << bits) - 1;
  let at = reader.position;
  let pending = 0;
  let fill = 0;
  for (let i = 0; i < out.length; i++) {
    while (fill < bits) {
      pending |= (bytes[at++] as number) << fill;
      fill += 8; // at most 23 + 8
    }
    out[i] = (largest - (pending & mask)) * step;
    pending >>>= bits;
    fill -= bits;
  }
  reader.position += size;
}
