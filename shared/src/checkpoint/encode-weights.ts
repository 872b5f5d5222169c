import { unreachable } from "../errors/invariant.js";
import { f32ArrayToBf16, f32ArrayToF16 } from "../numeric/float16.js";
import type { WeightDType } from "./safetensors-header.js";

/** f32 values → little-endian bytes, rounded to the nearest representable value, ties to even. F32 is a view of the same memory. */
export function encodeWeights(values: Float32Array, dtype: WeightDType): Uint8Array {
  switch (dtype) {
    case "F32":
      return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    case "F16":
      return new Uint8Array(f32ArrayToF16(values).buffer);
    case "BF16":
      return new Uint8Array(f32ArrayToBf16(values).buffer);
    default:
      return unreachable(dtype);
  }
}
