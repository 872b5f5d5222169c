import { damaged, type FrameReader } from "./frame-reader.js";
import type { FrameWriter } from "./frame-writer.js";
import { LOGITS_EXACT, LOGITS_QUANTISED, MAX_STEPS } from "./layout.js";
import { fitsInSteps, stepFor } from "./quantise.js";

export interface AtLogits {
  readonly offsets: Uint32Array;
  readonly logits: Float32Array;
}

/** Logits at ids the student chose: list lengths, then either f32, or per row its maximum and fixed-width steps below it. */
export function writeAtLogits(writer: FrameWriter, at: AtLogits, maxError: number): void {
  const rows = at.offsets.length - 1;
  for (let row = 0; row < rows; row++) {
    writer.varint((at.offsets[row + 1] as number) - (at.offsets[row] as number));
  }
  const step = maxError > 0 ? stepFor(maxError, magnitudeOf(at.logits)) : undefined;
  const extremes = step === undefined ? undefined : extremesOf(at, step);
  if (step === undefined || extremes === undefined) {
    writer.u8(LOGITS_EXACT);
    writer.array(at.logits);
    return;
  }
  writer.u8(LOGITS_QUANTISED);
  writer.f32(step);
  writer.f32(maxError);
  for (let row = 0; row < rows; row++) {
    const start = at.offsets[row] as number;
    const end = at.offsets[row + 1] as number;
    if (start === end) continue;
    const maximum = extremes[2 * row] as number;
    const most = Math.round((maximum - (extremes[2 * row + 1] as number)) / step);
    const bits = Math.max(1, 32 - Math.clz32(most));
    writer.f32(maximum);
    writer.u8(bits);
    writeSteps(writer, at.logits.subarray(start, end), { maximum, step, bits });
  }
}

interface Steps {
  readonly maximum: number;
  readonly step: number;
  readonly bits: number;
}

function writeSteps(writer: FrameWriter, logits: Float32Array, steps: Steps): void {
  const size = Math.ceil((logits.length * steps.bits) / 8);
  writer.reserve(size);
  const { bytes } = writer;
  let at = writer.length;
  let pending = 0;
  let fill = 0;
  for (let i = 0; i < logits.length; i++) {
    pending |= Math.round((steps.maximum - (logits[i] as number)) / steps.step) << fill;
    fill += steps.bits; // at most 7 + 24
    while (fill >= 8) {
      bytes[at++] = pending & 0xff;
      pending >>>= 8;
      fill -= 8;
    }
  }
  if (fill > 0) bytes[at] = pending;
  writer.length += size;
}

function magnitudeOf(values: Float32Array): number {
  let magnitude = 0;
  for (let i = 0; i < values.length; i++) {
    const value = Math.abs(values[i] as number);
    if (!(value <= magnitude)) magnitude = value; // takes NaN too
  }
  return magnitude;
}

/** Largest and smallest of each row; undefined when one spans too much. */
function extremesOf(at: AtLogits, step: number): Float32Array | undefined {
  const rows = at.offsets.length - 1;
  const extremes = new Float32Array(2 * rows);
  for (let row = 0; row < rows; row++) {
    let high = -Infinity;
    let low = Infinity;
    const end = at.offsets[row + 1] as number;
    for (let i = at.offsets[row] as number; i < end; i++) {
      high = Math.max(high, at.logits[i] as number);
      low = Math.min(low, at.logits[i] as number);
    }
    if (high >= low && !fitsInSteps(high - low, step)) return undefined;
    extremes[2 * row] = high;
    extremes[2 * row + 1] = low;
  }
  return extremes;
}

/** Reads the lists of `rows` rows. */
export function readAtLogits(reader: FrameReader, rows: number): AtLogits {
  const part = "at-id logits";
  const offsets = readOffsets(reader, rows, part);
  const total = offsets[rows] as number;
  const mode = reader.u8(part);
  if (mode === LOGITS_EXACT) return { offsets, logits: reader.f32Array(total, part) };
  if (mode !== LOGITS_QUANTISED) damaged(`${part} have the unknown mode ${mode}`);
  const step = reader.f32(part);
  reader.f32(part); // the error bound
  if (!(step > 0 && step < Infinity)) damaged(`${part} have the step ${step}`);
  reader.need(total / 8, part); // a value has at least one bit
  const logits = new Float32Array(total);
  for (let row = 0; row < rows; row++) {
    const start = offsets[row] as number;
    const end = offsets[row + 1] as number;
    if (start === end) continue;
    const maximum = reader.f32(part);
    const bits = reader.u8(part);
    if (bits < 1 || bits > 32 - Math.clz32(MAX_STEPS)) damaged(`${part} are ${bits} bits wide`);
    readSteps(reader, logits.subarray(start, end), { maximum, step, bits });
  }
  return { offsets, logits };
}

function readSteps(reader: FrameReader, out: Float32Array, steps: Steps): void {
  const size = Math.ceil((out.length * steps.bits) / 8);
  reader.need(size, "at-id logits");
  const { bytes } = reader;
  const mask = (1 << steps.bits) - 1;
  let at = reader.position;
  let pending = 0;
  let fill = 0;
  for (let i = 0; i < out.length; i++) {
    while (fill < steps.bits) {
      pending |= (bytes[at++] as number) << fill;
      fill += 8; // at most 23 + 8
    }
    out[i] = steps.maximum - (pending & mask) * steps.step;
    pending >>>= steps.bits;
    fill -= steps.bits;
  }
  reader.position += size;
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
