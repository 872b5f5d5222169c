import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertFrugal } from "@tandem/teacher-server/grpc/assert-frugal.js";

const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");

describe("assertFrugal", () => {
  it("takes every kind of field that the contract has", () => {
    // 1: varint 150; 2: three bytes; 3: fixed64; 4: fixed32; 5: varint -1 in ten bytes.
    assertFrugal(
      hex("08 9601 12 03 010203 19 0000000000000000 25 00000000 28 ffffffffffffffffff01"),
      1,
    );
    assertFrugal(Buffer.alloc(0), 0);
  });

  it("counts items and not numbers", () => {
    assertFrugal(hex("0a00 0a00 1001 1001 1001"), 2);
    assert.throws(() => assertFrugal(hex("0a00 0a00 0a00"), 2), {
      code: "INVALID_ARGUMENT",
      limit: 2,
    });
  });

  const damaged: readonly (readonly [string, string])[] = [
    ["a group", "0b 0c"],
    ["an unknown wire type", "0f"],
    ["a field behind the end", "0a 05 00"],
    ["a length of 4 GiB", "0a ffffffff0f"],
    ["a fixed number cut short", "19 00000000"],
    ["a varint cut short", "08 96"],
    ["an endless varint", "08 ffffffffffffffffffff01"],
  ];
  for (const [what, bytes] of damaged) {
    it(`refuses ${what}`, () => {
      assert.throws(() => assertFrugal(hex(bytes), 9), { code: "DATA_LOSS" });
    });
  }
});
