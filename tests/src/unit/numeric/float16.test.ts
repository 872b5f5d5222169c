import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  bf16ArrayToF32,
  bf16ToF32,
  f16ArrayToF32,
  f16ToF32,
  f32ArrayToBf16,
  f32ArrayToF16,
  f32ToBf16,
  f32ToF16,
} from "@tandem/shared/numeric/float16.js";

const f32 = new Float32Array(1);
const u32 = new Uint32Array(f32.buffer);

/** The neighbour of a positive f32, `steps` representable numbers further. */
function neighbour(value: number, steps: number): number {
  f32[0] = value;
  u32[0] = (u32[0] as number) + steps;
  return f32[0];
}

/** Checks round-to-nearest-even on every gap between two neighbouring 16-bit values: the exact midpoint goes to the even pattern, one f32 step to either side of it to the nearer one. */
function checkRounding(
  decode: (bits: number) => number,
  encode: (value: number) => number,
  largest: number,
): void {
  for (let bits = 0; bits < largest; bits++) {
    const low = decode(bits);
    const high = decode(bits + 1);
    const middle = Math.fround((low + high) / 2);
    if (middle > low && middle < high) {
      const even = bits % 2 === 0 ? bits : bits + 1;
      assert.equal(encode(middle), even, `midpoint above ${bits}`);
      assert.equal(encode(-middle), even | 0x8000, `negative midpoint above ${bits}`);
      assert.equal(encode(neighbour(middle, -1)), bits);
      assert.equal(encode(neighbour(middle, 1)), bits + 1);
    }
    assert.equal(encode(low), bits);
  }
}

describe("float16", () => {
  it("decodes every f16 pattern by the IEEE rule", () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      const sign = bits >= 0x8000 ? -1 : 1;
      const e = (bits >> 10) & 31;
      const m = bits & 1023;
      const expected =
        e === 31 ? (m ? NaN : Infinity) : e === 0 ? m / 2 ** 24 : (1024 + m) * 2 ** (e - 25);
      assert.ok(Object.is(f16ToF32(bits), sign * expected), `pattern ${bits}`);
    }
  });

  it("rounds f32 to the nearest f16, ties to even, over every gap", () => {
    checkRounding(f16ToF32, f32ToF16, 0x7bff);
  });

  it("rounds f32 to the nearest bf16, ties to even, over every gap", () => {
    checkRounding(bf16ToF32, f32ToBf16, 0x7f7f);
  });

  it("sends what is too large to infinity and keeps NaN", () => {
    assert.equal(f32ToF16(65519.99), 0x7bff);
    assert.equal(f32ToF16(65520), 0x7c00);
    assert.equal(f32ToF16(-1e30), 0xfc00);
    assert.equal(f32ToF16(-Infinity), 0xfc00);
    assert.ok(Number.isNaN(f16ToF32(f32ToF16(NaN))));
    assert.equal(f32ToBf16(3.4e38), 0x7f80);
    assert.equal(f32ToBf16(Infinity), 0x7f80);
    assert.ok(Number.isNaN(bf16ToF32(f32ToBf16(NaN))));
    assert.ok(Object.is(f16ToF32(f32ToF16(-0)), -0));
  });

  it("converts arrays element by element, also from an offset into a buffer", () => {
    const values = new Float32Array([9, 1, -2.5, 65504, 2 ** -24]).subarray(1);
    assert.deepEqual(f32ArrayToF16(values), new Uint16Array([0x3c00, 0xc100, 0x7bff, 1]));
    assert.deepEqual(f16ArrayToF32(f32ArrayToF16(values)), new Float32Array(values));
    assert.deepEqual(f32ArrayToBf16(values).subarray(0, 2), new Uint16Array([0x3f80, 0xc020]));
    assert.deepEqual(
      bf16ArrayToF32(new Uint16Array([0x3f80, 0xc020])),
      new Float32Array([1, -2.5]),
    );
  });
});
