import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { crc32c } from "@tandem/shared/numeric/crc32c.js";

describe("crc32c", () => {
  it("gives the known answers of RFC 3720, appendix B.4", () => {
    assert.equal(crc32c(Buffer.from("123456789")), 0xe3069283);
    assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
    assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
    assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e);
    assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => 31 - i)), 0x113fdb5c);
    assert.equal(crc32c(new Uint8Array(0)), 0);
  });

  it("takes any range, whatever its length and alignment", () => {
    const bytes = Uint8Array.from({ length: 64 }, (_, i) => (i * 37) & 255);
    for (let start = 0; start < 9; start++)
      for (let end = start; end < 40; end++)
        assert.equal(crc32c(bytes, start, end), crcBitwise(bytes.subarray(start, end)));
  });
});

/** One bit at a time, from the definition. */
function crcBitwise(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}
