import { GraphBuilder } from "../onnx/graph-builder.js";
import { serializeGraph } from "../onnx/serialize.js";
import type { Int8Sums } from "../quantization/quantization.js";
import { f32Tensor } from "../runtime/host-tensor.js";
import { createOrtSession } from "../runtime/ort-session.js";
import type { ExternalBytes } from "../tensor/op-attributes.js";

const WIDTH = 64;

/** How this processor adds products of u8 × i8: `whole` where it has instructions for that (AVX-VNNI, AVX512-VNNI, AMX, dot products on ARM),
 * else in `pairs`, whose sum saturates in 16 bits. */
export async function int8Sums(): Promise<Int8Sums> {
  // Σ 1·127, up to the rounding of the row's scale.
  const exact = 127 * WIDTH;
  const sums = await largestProducts();
  return sums.every((sum) => Math.abs(sum - exact) < 1e-3 * exact) ? "whole" : "pairs";
}

/** Rows of ones times weights of 1, both stored as the largest 8-bit numbers there are. */
async function largestProducts(): Promise<readonly number[]> {
  const name = "largest";
  const values = new Uint8Array(new Int8Array(WIDTH * WIDTH).fill(127).buffer);
  const scales = new Uint8Array(new Float32Array(WIDTH).fill(1).buffer);
  const bytes = (part: string, data: Uint8Array, dtype: "i8" | "f32"): ExternalBytes => ({
    location: `${name}.${part}`,
    offset: 0,
    length: data.length,
    dtype,
  });
  const builder = new GraphBuilder();
  const x = builder.input("x", "f32", ["N", WIDTH]);
  const weight = builder.parameter(name, [WIDTH, WIDTH], {
    kind: "int8",
    rotation: 1,
    values: bytes("values", values, "i8"),
    scales: bytes("scales", scales, "f32"),
  });
  builder.output("y", builder.matmul(x, weight, { transB: true }));
  const session = await createOrtSession(serializeGraph(builder.build()), {
    threads: 1,
    externalData: new Map([
      [`${name}.values`, values],
      [`${name}.scales`, scales],
    ]),
  });
  try {
    const rows = 4;
    const ones = f32Tensor(new Float32Array(rows * WIDTH).fill(1), [rows, WIDTH]);
    const { y } = await session.run({ x: ones }, ["y"]);
    return Array.from(y!.data as Float32Array);
  } finally {
    await session.close();
  }
}
