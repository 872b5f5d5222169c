import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { int8Sums } from "@tandem/shared/inference/int8-sums.js";
import { hadamardBlock } from "@tandem/shared/numeric/hadamard.js";
import { philox4x32 } from "@tandem/shared/numeric/philox.js";
import { GraphBuilder } from "@tandem/shared/onnx/graph-builder.js";
import { serializeGraph } from "@tandem/shared/onnx/serialize.js";
import { quantizeBlocks } from "@tandem/shared/quantization/block-bits.js";
import { quantizeInt8Columns } from "@tandem/shared/quantization/int8-columns.js";
import { f32Tensor } from "@tandem/shared/runtime/host-tensor.js";
import { createOrtSession } from "@tandem/shared/runtime/ort-session.js";
import type { ExternalBytes, QuantizedBytes } from "@tandem/shared/tensor/op-attributes.js";
import { DivergenceMeter } from "@tandem/teacher-server/engine/process/divergence.js";
import { assertAllClose } from "../../helpers/all-close.js";
import { loadQuantizedModel } from "../../helpers/quantized-model.js";
import { readTensors, signalOf, tinyModelDir, TINY_VOCABULARY } from "../../helpers/tiny-models.js";

const [ROWS, INPUTS, OUTPUTS] = [5, 96, 33];

/** Uniform in [−1, 1). */
const noise = (seed: number, length: number) =>
  Float32Array.from({ length }, (_, i) => philox4x32([i, seed, 0, 0], [3, 4])[0]! / 2 ** 31 - 1);

/** One input stands out of its row, as in real models. */
const inputs = noise(1, ROWS * INPUTS).map((value, i) =>
  i % INPUTS === 7 ? 40 : value * (1 + Math.floor(i / INPUTS)),
);
const weight = noise(2, OUTPUTS * INPUTS);

/** x·Wᵀ in float64. */
const exact = Float64Array.from({ length: ROWS * OUTPUTS }, (_, at) => {
  const [n, o] = [Math.floor(at / OUTPUTS), at % OUTPUTS];
  return weight
    .subarray(o * INPUTS, (o + 1) * INPUTS)
    .reduce((sum, w, i) => sum + w * inputs[n * INPUTS + i]!, 0);
});

type Parts = Readonly<
  Record<string, { readonly data: ArrayBufferView; readonly dtype: "i8" | "u8" | "f32" }>
>;

async function product(
  parts: Parts,
  form: (bytes: Record<string, ExternalBytes>) => QuantizedBytes,
  rows = inputs,
) {
  const data = new Map<string, Uint8Array>();
  const bytes: Record<string, ExternalBytes> = {};
  for (const [name, { data: view, dtype }] of Object.entries(parts)) {
    data.set(name, new Uint8Array(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength));
    bytes[name] = { location: name, offset: 0, length: view.byteLength, dtype };
  }
  const g = new GraphBuilder();
  const x = g.input("x", "f32", ["N", INPUTS]);
  g.output("y", g.matmul(x, g.parameter("w", [OUTPUTS, INPUTS], form(bytes)), { transB: true }));
  const session = await createOrtSession(serializeGraph(g.build()), {
    threads: 1,
    externalData: data,
  });
  try {
    const { y } = await session.run({ x: f32Tensor(rows, [ROWS, INPUTS]) }, ["y"]);
    return y!.data as Float32Array;
  } finally {
    await session.close();
  }
}

const SUMS = await int8Sums();

function int8Product(
  { values, scales }: ReturnType<typeof quantizeInt8Columns>,
  rotation: number,
  rows = inputs,
): Promise<Float32Array> {
  return product(
    { values: { data: values, dtype: "i8" }, scales: { data: scales, dtype: "f32" } },
    (bytes) => ({ kind: "int8", rotation, values: bytes["values"]!, scales: bytes["scales"]! }),
    rows,
  );
}

const rms = (values: ArrayLike<number>) =>
  Math.sqrt(Array.from(values).reduce((sum, v) => sum + v * v, 0) / values.length);

describe("a product with 8-bit weights", () => {
  // Sums in pairs are exact on every processor, whole ones where it has them.
  for (const sums of new Set(["pairs", SUMS] as const)) {
    it(`is the integer sum of rounded rows and columns, scaled, for ${sums}`, async () => {
      const quantized = quantizeInt8Columns(weight, { outputs: OUTPUTS, rotation: 1, sums });
      const { values, scales } = quantized;
      const expected = Float64Array.from({ length: ROWS * OUTPUTS }, (_, at) => {
        const [n, o] = [Math.floor(at / OUTPUTS), at % OUTPUTS];
        const row = inputs.subarray(n * INPUTS, (n + 1) * INPUTS);
        const step = Math.fround(
          Math.fround(row.reduce((m, v) => Math.max(m, Math.abs(v)), 0)) * Math.fround(1 / 127),
        );
        const sum = row.reduce(
          (s, v, i) => s + Math.round(Math.fround(v / step)) * values[i * OUTPUTS + o]!,
          0,
        );
        return sum * step * scales[o]!;
      });
      // Two f32 factors; the integer part has to be right to the last unit.
      assertAllClose(await int8Product(quantized, 1), expected, { rtol: 1e-6, atol: 1e-6 });
    });

    it(`is right where every number is as large as can be, for ${sums}`, async () => {
      for (const sign of [1, -1]) {
        const constant = new Float32Array(OUTPUTS * INPUTS).fill(sign);
        const quantized = quantizeInt8Columns(constant, { outputs: OUTPUTS, rotation: 1, sums });
        const y = await int8Product(quantized, 1, new Float32Array(ROWS * INPUTS).fill(3));
        const expected = new Float64Array(ROWS * OUTPUTS).fill(3 * sign * INPUTS);
        assertAllClose(y, expected, { rtol: 1e-6, atol: 0 });
      }
    });
  }

  it("is near the exact product, nearer when rotated", async () => {
    const error = async (rotation: number) => {
      const options = { outputs: OUTPUTS, rotation, sums: SUMS };
      const y = await int8Product(quantizeInt8Columns(weight, options), rotation);
      return rms(y.map((value, i) => value - exact[i]!)) / rms(exact);
    };
    const [plain, rotated] = [await error(1), await error(hadamardBlock(INPUTS))];
    // One input of 40 beside others around 1: unrotated, a step of 40/127 is a third of them.
    assert.ok(rotated < 0.02, `rotated: ${rotated}`);
    // Not half of it where pairs of weights are limited: uniform ones err by as much as the rotated inputs, in both.
    assert.ok(rotated < plain / (SUMS === "whole" ? 2 : 1.5), `rotated ${rotated}, plain ${plain}`);
  });
});

for (const [bits, bound] of [
  [8, 0.02],
  [4, 0.08],
] as const) {
  it(`a product with weights in blocks of ${bits} bits is within ${bound} of the exact one`, async () => {
    const block = 32;
    const packed = quantizeBlocks(weight, { outputs: OUTPUTS, bits, block });
    const y = await product(
      {
        values: { data: packed.values, dtype: "u8" },
        scales: { data: packed.scales, dtype: "f32" },
        zeroPoints: { data: packed.zeroPoints, dtype: "u8" },
      },
      (bytes) => ({
        kind: "blocks",
        bits,
        block,
        values: bytes["values"]!,
        scales: bytes["scales"]!,
        zeroPoints: bytes["zeroPoints"]!,
      }),
    );
    const error = rms(y.map((value, i) => value - exact[i]!)) / rms(exact);
    assert.ok(error < bound, `error ${error}`);
  });
}

/** Bounds in nats per token against the float64 logits that transformers computed. The tiny models' weights are noise of width 16
 * and their logits lie around ±20, which is far harder on few bits than a trained model. Measured: see each. */
const BOUNDS = { int8: 0.02, int4: 0.25 } as const;

describe("quantised models against transformers", () => {
  for (const model of ["llama-tied", "llama-bias", "qwen3", "mistral", "gpt2", "llama-sharded"]) {
    for (const [quantization, bound] of Object.entries(BOUNDS) as ["int8" | "int4", number][]) {
      it(`${model} in ${quantization} stays within ${bound} nats`, async () => {
        const dir = tinyModelDir(model);
        const expected = await readTensors(`${dir}/expected.safetensors`);
        const tokens = Uint32Array.from(expected.get("tokens")!);
        const runner = await loadQuantizedModel(dir, quantization);
        try {
          const head = {
            first: 0,
            targets: new Uint32Array(tokens.length),
            spec: signalOf({ dense: "f32" }),
          };
          const row = { cache: 1, past: 0, tokens, maxLength: tokens.length, head };
          const { rows } = await runner.run({ release: [], rows: [row] });
          const meter = new DivergenceMeter(TINY_VOCABULARY);
          meter.compare(expected.get("logits")!, rows[0]!.signal!.dense!);
          const { meanKl } = meter.result();
          assert.ok(meanKl <= bound, `${meanKl} nats`);
          assert.ok(meanKl > 1e-7, "it is quantised at all");
        } finally {
          await runner.close();
        }
      });
    }
  }
});
