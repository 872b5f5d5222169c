import { TandemError } from "../errors/tandem-error.js";
import { GraphBuilder } from "../onnx/graph-builder.js";
import { serializeGraph } from "../onnx/serialize.js";
import { f32Tensor } from "../runtime/host-tensor.js";
import { createOrtSession } from "../runtime/ort-session.js";
import type { ExternalBytes } from "../tensor/op-attributes.js";

const WIDTH = 64;

/** Multiplies the largest 8-bit numbers there are. Processors without instructions for whole 8-bit products (VNNI, AMX, dot products on ARM) add two of
 * them in 16 bits, where these saturate.
 * @throws TandemError UNIMPLEMENTED when the sums are not exact. */
export async function assertExactProducts(): Promise<void> {
  const location = "largest";
  const values = new Uint8Array(new Int8Array(WIDTH * WIDTH).fill(127).buffer);
  const scales = new Uint8Array(new Float32Array(WIDTH).fill(1).buffer);
  const bytes = (name: string, data: Uint8Array, dtype: "i8" | "f32"): ExternalBytes => ({
    location: `${location}.${name}`,
    offset: 0,
    length: data.length,
    dtype,
  });
  const builder = new GraphBuilder();
  const x = builder.input("x", "f32", ["N", WIDTH]);
  const weight = builder.parameter(location, [WIDTH, WIDTH], {
    kind: "int8",
    rotation: 1,
    values: bytes("values", values, "i8"),
    scales: bytes("scales", scales, "f32"),
  });
  builder.output("y", builder.matmul(x, weight, { transB: true }));
  const session = await createOrtSession(serializeGraph(builder.build()), {
    threads: 1,
    externalData: new Map([
      [`${location}.values`, values],
      [`${location}.scales`, scales],
    ]),
  });
  try {
    const rows = 4;
    const ones = f32Tensor(new Float32Array(rows * WIDTH).fill(1), [rows, WIDTH]);
    const { y } = await session.run({ x: ones }, ["y"]);
    // Σ 1·127, up to the rounding of the row's scale.
    const exact = 127 * WIDTH;
    const sums = Array.from(y!.data as Float32Array);
    if (sums.every((sum) => Math.abs(sum - exact) < 1e-3 * exact)) return;
  } finally {
    await session.close();
  }
  throw new TandemError(
    "UNIMPLEMENTED",
    "--quantization int8 needs a processor with whole 8-bit products (AVX-VNNI, AVX512-VNNI, AMX, or ARM dot products): here they saturate and would be wrong; use --quantization int4 or none",
    { field: "quantization" },
  );
}
