import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { rotateRow } from "@tandem/shared/numeric/hadamard.js";
import { quantizeBlocks } from "@tandem/shared/quantization/block-bits.js";
import { quantizeInt8Columns } from "@tandem/shared/quantization/int8-columns.js";
import { weightFormat } from "@tandem/shared/quantization/quantization.js";
import { assertAllClose } from "../../helpers/all-close.js";

const wave = (length: number, size = 1) =>
  Float32Array.from({ length }, (_, i) => size * Math.sin(1.7 * i + 0.3));

describe("quantizeInt8Columns", () => {
  it("scales each output by its largest weight and stores inputs first", () => {
    // 2 outputs of 3 inputs: 254 → 127 at 2 a step; 0.5 → 127 at 0.5/127 a step, −0.1 → −25.4.
    const { values, scales } = quantizeInt8Columns(Float32Array.of(254, -2, 1.2, 0.5, -0.1, 0), {
      outputs: 2,
      rotation: 1,
      sums: "whole",
    });
    assert.deepEqual([...values], [127, 127, -1, -25, 1, 0]);
    assertAllClose(scales, Float32Array.of(2, 0.5 / 127), { rtol: 1e-6, atol: 0 });
  });

  it("keeps the rotated weights to half a step, for more outputs than a tile holds", () => {
    const [outputs, inputs] = [70, 24];
    const weight = wave(outputs * inputs);
    const { values, scales } = quantizeInt8Columns(weight, {
      outputs,
      rotation: 8,
      sums: "whole",
    });
    for (let o = 0; o < outputs; o++) {
      const row = weight.slice(o * inputs, (o + 1) * inputs);
      rotateRow(row, 8);
      row.forEach((exact, i) => {
        const error = Math.abs(values[i * outputs + o]! * scales[o]! - exact);
        assert.ok(error <= 0.501 * scales[o]!, `weight ${o},${i} is off by ${error}`);
      });
    }
  });

  it("keeps an output of zeros", () => {
    const { values, scales } = quantizeInt8Columns(new Float32Array(4), {
      outputs: 1,
      rotation: 4,
      sums: "whole",
    });
    assert.deepEqual([...values], [0, 0, 0, 0]);
    assert.deepEqual([...scales], [1]);
  });

  it("keeps neighbours small enough for sums in pairs, with less error than 7 bits", () => {
    const [outputs, inputs] = [70, 25];
    const weight = wave(outputs * inputs).map((w, i) => w ** 3 + 0.1 * Math.cos(0.9 * i));
    const { values, scales } = quantizeInt8Columns(weight, { outputs, rotation: 1, sums: "pairs" });
    let [error, error7] = [0, 0];
    for (let o = 0; o < outputs; o++) {
      const row = weight.subarray(o * inputs, (o + 1) * inputs);
      const step7 = row.reduce((largest, w) => Math.max(largest, Math.abs(w)), 0) / 64;
      row.forEach((w, i) => {
        const at = (input: number) => values[input * outputs + o] ?? 0;
        const pair = Math.abs(at(i)) + Math.abs(at(i ^ 1));
        assert.ok(pair <= 128, `${o},${i}: ${pair}`);
        const half = 0.501 * scales[o]!;
        assert.ok(pair === 128 || Math.abs(at(i) * scales[o]! - w) <= half, `${o},${i}`);
        error += (at(i) * scales[o]! - w) ** 2;
        error7 += (Math.round(w / step7) * step7 - w) ** 2;
      });
    }
    assert.ok(error < error7, `${error} against ${error7}`);
  });
});

/** What a block's codes stand for. */
function decode(
  { values, scales, zeroPoints }: ReturnType<typeof quantizeBlocks>,
  {
    bits,
    block,
    blocks,
  }: { readonly bits: 4 | 8; readonly block: number; readonly blocks: number },
): number[] {
  const code = (bytes: Uint8Array, at: number) =>
    bits === 8 ? bytes[at]! : (bytes[at >> 1]! >> (4 * (at & 1))) & 15;
  const pointsPerRow = bits === 8 ? blocks : 2 * Math.ceil(blocks / 2);
  return Array.from({ length: scales.length * block }, (_, at) => {
    const b = Math.floor(at / block);
    const point = Math.floor(b / blocks) * pointsPerRow + (b % blocks);
    return (code(values, at) - code(zeroPoints, point)) * scales[b]!;
  });
}

describe("quantizeBlocks", () => {
  it("spans a block from its lowest to its highest weight, zero being exact", () => {
    // −4 … 11 in 16 levels: a step is 1 and zero is level 4, so every integer is exact.
    const weight = Float32Array.of(-4, 0, 11, 3, 1, -1, 5, 7, 2, -2, 4, 6, 8, 9, 10, -3);
    const packed = quantizeBlocks(weight, { outputs: 1, bits: 4, block: 16 });
    assert.deepEqual([...packed.scales], [1]);
    assert.deepEqual([...packed.zeroPoints], [4]);
    assert.deepEqual(decode(packed, { bits: 4, block: 16, blocks: 1 }), [...weight]);
    assert.equal(packed.values[0], 0 | (4 << 4), "low bits hold the first weight");
  });

  it("cuts off a lone large weight when that helps the others", () => {
    const weight = wave(32, 0.1);
    weight[5] = 1;
    const error = (values: readonly number[]) =>
      values.reduce((sum, value, i) => sum + (value - weight[i]!) ** 2, 0);
    const packed = quantizeBlocks(weight, { outputs: 1, bits: 4, block: 32 });
    const range = 1 + 0.1;
    const plain = [...weight].map((w) => Math.round((w * 15) / range) * (range / 15));
    assert.ok(error(decode(packed, { bits: 4, block: 32, blocks: 1 })) < error(plain));
  });

  for (const bits of [4, 8] as const) {
    it(`keeps weights to a step in ${bits} bits, rows that fill no whole block included`, () => {
      const [outputs, inputs, block] = [3, 40, 16];
      const weight = wave(outputs * inputs);
      const packed = quantizeBlocks(weight, { outputs, bits, block });
      const decoded = decode(packed, { bits, block, blocks: 3 });
      for (let o = 0; o < outputs; o++) {
        for (let i = 0; i < inputs; i++) {
          const error = Math.abs(decoded[o * 48 + i]! - weight[o * inputs + i]!);
          // A range cut to 0.7 leaves up to 0.3 of the largest weight; in 8 bits nothing is cut.
          assert.ok(error <= (bits === 8 ? 0.51 * (2 / 255) : 0.31), `${o},${i}: ${error}`);
        }
        assert.ok(decoded.slice(o * 48 + 40, o * 48 + 48).every((value) => value === 0));
      }
    });
  }
});

describe("weightFormat", () => {
  it("rotates all inputs but those that attention has averaged", () => {
    const rotation = (name: string) => {
      const format = weightFormat(name, 576, "int8");
      return format.kind === "int8" ? format.rotation : 0;
    };
    assert.equal(rotation("model.layers.0.self_attn.o_proj.weight"), 1);
    assert.equal(rotation("transformer.h.0.attn.c_proj.weight"), 1);
    assert.equal(rotation("transformer.h.0.mlp.c_proj.weight"), 64);
    assert.equal(rotation("model.layers.0.self_attn.q_proj.weight"), 64);
    assert.equal(rotation("head"), 64);
  });

  it("keeps what suffers most in 8 bits", () => {
    const bits = (name: string) => {
      const format = weightFormat(name, 64, "int4");
      return format.kind === "blocks" ? format.bits : 0;
    };
    assert.equal(bits("model.layers.0.mlp.down_proj.weight"), 8);
    assert.equal(bits("model.layers.0.self_attn.v_proj.weight"), 8);
    assert.equal(bits("transformer.h.0.mlp.c_proj.weight"), 8);
    assert.equal(bits("head"), 8);
    assert.equal(bits("model.layers.0.mlp.up_proj.weight"), 4);
  });
});
