import { TandemError } from "@tandem/shared/errors/tandem-error.js";

/** u32 little-endian bytes → ids, copied and aligned.
 * @throws TandemError DATA_LOSS when the length is no multiple of 4. */
export function parseUint32s(bytes: Uint8Array, field: string): Uint32Array {
  return new Uint32Array(aligned(bytes, field));
}

/** f32 little-endian bytes.
 * @throws TandemError DATA_LOSS when the length is no multiple of 4. */
export function parseFloat32s(bytes: Uint8Array, field: string): Float32Array {
  return new Float32Array(aligned(bytes, field));
}

/** Token ids below the vocabulary's size.
 * @throws TandemError INVALID_ARGUMENT naming the first bad one. */
export function parseTokens(bytes: Uint8Array, field: string, vocabSize: number): Uint32Array {
  const tokens = parseUint32s(bytes, field);
  for (let i = 0; i < tokens.length; i++) {
    if ((tokens[i] as number) < vocabSize) continue;
    throw new TandemError(
      "INVALID_ARGUMENT",
      `${field}[${i}] is ${tokens[i]}; token ids of this model are below ${vocabSize}`,
      { field, limit: vocabSize },
    );
  }
  return tokens;
}

function aligned(bytes: Uint8Array, field: string): ArrayBuffer {
  if (bytes.byteLength % 4 !== 0) {
    throw new TandemError(
      "DATA_LOSS",
      `${field} has ${bytes.byteLength} bytes; an array of 32-bit values has a multiple of 4`,
      { field },
    );
  }
  const copy = new ArrayBuffer(bytes.byteLength);
  new Uint8Array(copy).set(bytes);
  return copy;
}
