import { TandemError } from "../errors/tandem-error.js";
import { elementCount } from "../numeric/shape.js";
import type { ConstantData } from "../tensor/op-attributes.js";
import type { DType } from "../tensor/tensor-ops.js";

/** Small arrays baked into a graph, in the storage of their dtype.
 * @throws INVALID_ARGUMENT when the number of values is not that of the shape, or the dtype cannot be a constant. */
export function toConstantData(
  data: readonly number[] | Float32Array | BigInt64Array,
  shape: readonly number[],
  dtype: DType,
): ConstantData {
  if (data.length !== elementCount(shape)) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `a constant of shape [${shape.join(",")}] needs ${elementCount(shape)} values, got ${data.length}`,
    );
  }
  switch (dtype) {
    case "f32":
      return data instanceof Float32Array
        ? data.slice()
        : Float32Array.from(data as readonly number[], Number);
    case "f64":
      return Float64Array.from(data as readonly number[], Number);
    case "i64":
      return BigInt64Array.from(Array.from(data as readonly number[], BigInt));
    case "i32":
      return Int32Array.from(data as readonly number[], Number);
    case "u8":
    case "bool":
      return Uint8Array.from(data as readonly number[], Number);
    case "f16":
    case "bf16":
      throw new TandemError(
        "UNIMPLEMENTED",
        `constants of ${dtype}: make an f32 constant and cast it`,
      );
  }
}

/** The dtype a constant has when none is named. */
export function constantDType(data: readonly number[] | Float32Array | BigInt64Array): DType {
  return data instanceof BigInt64Array ? "i64" : "f32";
}
