import { rotateRow } from "../numeric/hadamard.js";
import type { Int8Sums } from "./quantization.js";

/** Outputs that are transposed together: their bytes of one input are neighbours. */
const TILE = 64;

/** What the magnitudes of two neighbours may add up to: 255 · 128 is still less than 2¹⁵. */
const PAIR_LIMIT = 128;

/** Largest magnitudes tried where pairs are limited. 64 needs no limit; the larger ones have finer steps and cut off more pairs. */
const PAIR_RANGES = [64, 72, 80, 88, 96, 104];

/** A weight matrix as `Int8Columns` stores it: w·H ≈ values·scale.
 * weight: f32 [out,in]; rotation: width of the Hadamard blocks, 1 for none. Returns values i8 [in,out] and scales f32 [out].
 * sums `whole`: the largest magnitude of each output is 127, and all are right to half a step. `pairs`: magnitudes of inputs 2j and 2j+1 add up to
 * at most 128, with the scale of the least squared error. A row of normal weights loses so little by that, since both neighbours are seldom
 * large, that it is better off than with 7 bits (SmolLM2-135M: 0.0081 nats; 7 bits 0.0131, all 8 bits 0.0051). */
export function quantizeInt8Columns(
  weight: Float32Array,
  {
    outputs,
    rotation,
    sums,
  }: { readonly outputs: number; readonly rotation: number; readonly sums: Int8Sums },
): { readonly values: Int8Array; readonly scales: Float32Array } {
  const inputs = weight.length / outputs;
  const values = new Int8Array(weight.length);
  const scales = new Float32Array(outputs);
  const rows = new Float32Array(TILE * inputs);
  for (let begin = 0; begin < outputs; begin += TILE) {
    const count = Math.min(TILE, outputs - begin);
    rows.set(weight.subarray(begin * inputs, (begin + count) * inputs));
    for (let o = 0; o < count; o++) {
      const row = rows.subarray(o * inputs, (o + 1) * inputs);
      if (rotation > 1) rotateRow(row, rotation);
      scales[begin + o] = sums === "whole" ? roundToInt8(row) : roundInPairs(row);
    }
    for (let i = 0; i < inputs; i++) {
      const at = i * outputs + begin;
      for (let o = 0; o < count; o++) values[at + o] = rows[o * inputs + i]!;
    }
  }
  return { values, scales };
}

/** Stretches a row to ±127 and rounds it, in place; returns what a step is worth. */
function roundToInt8(row: Float32Array): number {
  const largest = largestMagnitude(row);
  if (largest === 0) return 1;
  const factor = 127 / largest;
  for (let i = 0; i < row.length; i++) row[i] = Math.round(Math.fround(row[i]! * factor));
  return largest / 127;
}

/** The same with limited pairs. */
function roundInPairs(row: Float32Array): number {
  const largest = largestMagnitude(row);
  if (largest === 0) return 1;
  let best = row;
  let least = Infinity;
  let step = 1;
  for (const range of PAIR_RANGES) {
    const rounded = new Float32Array(row.length);
    const scale = largest / range;
    const error = roundPairs(row, scale, rounded);
    if (error >= least) continue;
    least = error;
    best = rounded;
    step = scale;
  }
  row.set(best);
  return step;
}

/** Rounds a row to multiples of `scale`; what a pair has too much is taken from both alike, the nearest point of the limit. Returns Σ (w − its value)². */
function roundPairs(row: Float32Array, scale: number, rounded: Float32Array): number {
  const factor = 1 / scale;
  let error = 0;
  for (let i = 0; i < row.length; i += 2) {
    const a = row[i]! * factor;
    const b = i + 1 < row.length ? row[i + 1]! * factor : 0;
    let p = Math.round(a);
    let q = Math.round(b);
    const excess = Math.abs(p) + Math.abs(q) - PAIR_LIMIT;
    if (excess > 0) {
      p -= Math.sign(p) * (excess >> 1);
      q -= Math.sign(q) * (excess - (excess >> 1));
    }
    rounded[i] = p;
    if (i + 1 < row.length) rounded[i + 1] = q;
    error += (p - a) ** 2 + (q - b) ** 2;
  }
  return error * scale * scale;
}

function largestMagnitude(row: Float32Array): number {
  let largest = 0;
  for (let i = 0; i < row.length; i++) largest = Math.max(largest, Math.abs(row[i]!));
  return largest;
}
