/** IEEE binary16 (f16) and bfloat16 (bf16) as bit patterns in 16-bit words. Conversions from f32 round to nearest, ties to even;
 * overflow becomes an infinity, NaN stays NaN (quiet). */

const scratchF32 = new Float32Array(1);
const scratchU32 = new Uint32Array(scratchF32.buffer);

/** All 65,536 values: one load per element is about four times faster than taking the fields apart. */
const F16_TABLE = buildF16Table();

function buildF16Table(): Float32Array {
  const table = new Float32Array(0x10000);
  for (let bits = 0; bits < 0x10000; bits++) {
    const exponent = (bits >>> 10) & 0x1f;
    const mantissa = bits & 0x3ff;
    let magnitude: number;
    if (exponent === 0x1f) magnitude = mantissa === 0 ? Infinity : NaN;
    else if (exponent === 0) magnitude = mantissa * 2 ** -24;
    else magnitude = (1 + mantissa / 1024) * 2 ** (exponent - 15);
    table[bits] = bits & 0x8000 ? -magnitude : magnitude;
  }
  return table;
}

/** The value of an f16 bit pattern. */
export function f16ToF32(bits: number): number {
  return F16_TABLE[bits & 0xffff] as number;
}

/** The f16 bit pattern nearest to an f32 bit pattern. */
function f32BitsToF16(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00 | ((magnitude >>> 13) & 0x3ff);
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // 65,520 and above round to infinity
  if (magnitude >= 0x38800000) {
    // normal: move the exponent's bias from 127 to 15, round off 13 bits
    return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  }
  if (magnitude <= 0x33000000) return sign; // 2^-25 is the tie between 0 and the smallest subnormal
  const shift = 126 - (magnitude >>> 23);
  const mantissa = (magnitude & 0x7fffff) | 0x800000;
  const rounded = mantissa + (1 << (shift - 1)) - 1 + ((mantissa >>> shift) & 1);
  return sign | (rounded >>> shift);
}

/** The f16 bit pattern nearest to `value` (first rounded to f32). */
export function f32ToF16(value: number): number {
  scratchF32[0] = value;
  return f32BitsToF16(scratchU32[0] as number);
}

/** f16 bit patterns → f32, element by element. `out` must hold at least as many elements. */
export function f16ArrayToF32(
  source: Uint16Array,
  out: Float32Array = new Float32Array(source.length),
): Float32Array {
  for (let i = 0; i < source.length; i++) out[i] = F16_TABLE[source[i] as number] as number;
  return out;
}

/** f32 → f16 bit patterns, element by element. `out` must hold at least as many elements. */
export function f32ArrayToF16(
  source: Float32Array,
  out: Uint16Array = new Uint16Array(source.length),
): Uint16Array {
  const bits = new Uint32Array(source.buffer, source.byteOffset, source.length);
  for (let i = 0; i < bits.length; i++) out[i] = f32BitsToF16(bits[i] as number);
  return out;
}

/** The value of a bf16 bit pattern. */
export function bf16ToF32(bits: number): number {
  scratchU32[0] = bits << 16;
  return scratchF32[0] as number;
}

function f32BitsToBf16(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return ((bits >>> 0) + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** The bf16 bit pattern nearest to `value` (first rounded to f32). */
export function f32ToBf16(value: number): number {
  scratchF32[0] = value;
  return f32BitsToBf16(scratchU32[0] as number);
}

/** bf16 bit patterns → f32, element by element. `out` must hold at least as many elements. */
export function bf16ArrayToF32(
  source: Uint16Array,
  out: Float32Array = new Float32Array(source.length),
): Float32Array {
  const bits = new Uint32Array(out.buffer, out.byteOffset, source.length);
  for (let i = 0; i < source.length; i++) bits[i] = (source[i] as number) << 16;
  return out;
}

/** f32 → bf16 bit patterns, element by element. `out` must hold at least as many elements. */
export function f32ArrayToBf16(
  source: Float32Array,
  out: Uint16Array = new Uint16Array(source.length),
): Uint16Array {
  const bits = new Uint32Array(source.buffer, source.byteOffset, source.length);
  for (let i = 0; i < bits.length; i++) out[i] = f32BitsToBf16(bits[i] as number);
  return out;
}
