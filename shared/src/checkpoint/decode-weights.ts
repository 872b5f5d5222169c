import { unreachable } from "../errors/invariant.js";
import { bf16ArrayToF32, f16ArrayToF32 } from "../numeric/float16.js";
import type { WeightDType } from "./safetensors-header.js";

/** Little-endian stored bytes → f32 values. F32 is a view of the same memory where alignment allows. */
export function decodeWeights(bytes: Uint8Array, dtype: WeightDType): Float32Array {
  switch (dtype) {
    case "F32":
      return bytes.byteOffset % 4 === 0
        ? new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
        : new Float32Array(bytes.slice().buffer);
    case "F16":
      return f16ArrayToF32(asU16(bytes));
    case "BF16":
      return bf16ArrayToF32(asU16(bytes));
    default:
      return unreachable(dtype);
  }
}

function asU16(bytes: Uint8Array): Uint16Array {
  return bytes.byteOffset % 2 === 0
    ? new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2)
    : new Uint16Array(bytes.slice().buffer);
}
