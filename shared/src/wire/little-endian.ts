import { TandemError } from "../errors/tandem-error.js";

/** Typed arrays are handed to the wire as they lie in memory, which is little-endian on every platform Node ships for but one. */
if (new Uint8Array(new Uint16Array([1]).buffer)[0] !== 1) {
  throw new TandemError("UNIMPLEMENTED", "Tandem's wire formats need a little-endian machine");
}

/** The bytes of a typed array, without a copy. */
export function bytesOf(values: ArrayBufferView): Buffer {
  return Buffer.from(values.buffer as ArrayBuffer, values.byteOffset, values.byteLength);
}

/** Below this size an array of zeros is made faster than one of whatever memory held before. */
const RAW_BYTES = 4096;

/** u32 [count] for whoever fills it at once: its numbers are undefined. */
export function rawU32(count: number): Uint32Array {
  if (4 * count < RAW_BYTES) return new Uint32Array(count);
  return new Uint32Array(Buffer.allocUnsafeSlow(4 * count).buffer);
}

/** f32 [count], likewise. */
export function rawF32(count: number): Float32Array {
  if (4 * count < RAW_BYTES) return new Float32Array(count);
  return new Float32Array(Buffer.allocUnsafeSlow(4 * count).buffer);
}

/** u32 [count] from bytes at any alignment, copied. The caller has checked that they are there. */
export function readU32(bytes: Uint8Array, start: number, count: number): Uint32Array {
  const out = rawU32(count);
  new Uint8Array(out.buffer).set(bytes.subarray(start, start + 4 * count));
  return out;
}

/** f32 [count] from bytes at any alignment, copied. The caller has checked that they are there. */
export function readF32(bytes: Uint8Array, start: number, count: number): Float32Array {
  const out = rawF32(count);
  new Uint8Array(out.buffer).set(bytes.subarray(start, start + 4 * count));
  return out;
}

/** u16 [count] (f16 patterns) from bytes at any alignment, copied. The caller has checked that they are there. */
export function readU16(bytes: Uint8Array, start: number, count: number): Uint16Array {
  const out = new Uint16Array(count);
  new Uint8Array(out.buffer).set(bytes.subarray(start, start + 2 * count));
  return out;
}
