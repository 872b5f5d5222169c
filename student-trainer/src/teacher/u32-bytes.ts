import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { bytesOf, readU32 } from "@tandem/shared/wire/little-endian.js";

/** Ids as the contract carries them: u32 little-endian. No copy. */
export function u32ToBytes(values: Uint32Array): Buffer {
  return bytesOf(values);
}

/** @throws TandemError DATA_LOSS when the length is no multiple of 4. */
export function u32FromBytes(bytes: Uint8Array, field: string): Uint32Array {
  if (bytes.length % 4 !== 0) {
    throw new TandemError("DATA_LOSS", `${field} has ${bytes.length} bytes, not whole u32`, {
      field,
    });
  }
  return readU32(bytes, 0, bytes.length / 4);
}
