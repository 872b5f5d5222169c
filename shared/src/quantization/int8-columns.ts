import { rotateRow } from "../numeric/hadamard.js";

/** Outputs that are transposed together: their bytes of one input are neighbours. */
const TILE = 64;

/** A weight matrix as `Int8Columns` stores it.
 * weight: f32 [out,in]; rotation: width of the Hadamard blocks, 1 for none. Returns values i8 [in,out] and scales f32 [out]; the largest
 * magnitude of each output is 127, so that w·H ≈ values·scale to half a step. */
export function quantizeInt8Columns(
  weight: Float32Array,
  { outputs, rotation }: { readonly outputs: number; readonly rotation: number },
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
      scales[begin + o] = scaleToInt8(row);
    }
    for (let i = 0; i < inputs; i++) {
      const at = i * outputs + begin;
      for (let o = 0; o < count; o++) values[at + o] = Math.round(rows[o * inputs + i]!);
    }
  }
  return { values, scales };
}

/** Stretches a row to ±127, in place; returns what a step is worth. */
function scaleToInt8(row: Float32Array): number {
  let largest = 0;
  for (let i = 0; i < row.length; i++) largest = Math.max(largest, Math.abs(row[i]!));
  if (largest === 0) return 1;
  const factor = 127 / largest;
  for (let i = 0; i < row.length; i++) row[i]! *= factor;
  return largest / 127;
}

/** The same values as u8 around 128, in place. */
export function aroundZeroPoint({ buffer, byteOffset, length }: Int8Array): Uint8Array {
  const bytes = new Uint8Array(buffer, byteOffset, length);
  for (let i = 0; i < length; i++) bytes[i]! += 128;
  return bytes;
}
