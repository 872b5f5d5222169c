import { invariant } from "../errors/invariant.js";
import { DTYPE_BYTES, type WeightDType } from "./safetensors-header.js";
import { encodeWeights } from "./encode-weights.js";
import { writeFileAtomic } from "./write-file-atomic.js";

export interface NamedWeight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Writes weights as one safetensors file, atomically, readable by `transformers` (metadata `format: pt`).
 * Tensors lie in the order of their names; `metadata` adds text pairs. */
export async function writeSafetensors(
  path: string,
  weights: readonly NamedWeight[],
  {
    dtype = "F32",
    metadata = {},
  }: { dtype?: WeightDType; metadata?: Readonly<Record<string, string>> } = {},
): Promise<void> {
  const sorted = [...weights].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  await writeFileAtomic(path, pieces(sorted, dtype, { format: "pt", ...metadata }));
}

function* pieces(
  weights: readonly NamedWeight[],
  dtype: WeightDType,
  metadata: Readonly<Record<string, string>>,
): Generator<Uint8Array> {
  for (const { name, shape, data } of weights) {
    invariant(
      shape.reduce((a, b) => a * b, 1) === data.length,
      `weight ${name} has as many values as its shape says`,
    );
  }
  const tensors = weights.map(({ name, shape }) => ({ name, dtype, shape }));
  yield* safetensorsStart(tensors, metadata);
  for (const { data } of weights) yield encodeWeights(data, dtype);
}

export interface NamedShape {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** What a safetensors file begins with; the bytes of the tensors follow in the same order. */
export function safetensorsStart(
  tensors: readonly NamedShape[],
  metadata: Readonly<Record<string, string>>,
): readonly Uint8Array[] {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let offset = 0;
  for (const { name, dtype, shape } of tensors) {
    invariant(header[name] === undefined, `weight ${name} is written once`);
    const end = offset + shape.reduce((a, b) => a * b, DTYPE_BYTES[dtype] ?? NaN);
    header[name] = { dtype, shape, data_offsets: [offset, end] };
    offset = end;
  }
  const json = Buffer.from(JSON.stringify(header), "utf8");
  // The data begins at a multiple of 8, so that mapped f32 values are aligned.
  const padding = Buffer.alloc((8 - (json.length % 8)) % 8, " ");
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(json.length + padding.length));
  return [size, json, padding];
}
