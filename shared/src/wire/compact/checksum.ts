import { crc32 } from "node:zlib";

/** CRC-32 (IEEE 802.3, as in gzip and PNG) of bytes [0, end) as a u32: zlib's, which takes many bytes at a time. */
export function checksum(bytes: Uint8Array, end: number): number {
  return crc32(bytes.subarray(0, end));
}
