import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { elementCount, rowMajorStrides } from "@tandem/shared/numeric/shape.js";
import type { DType, Tensor } from "@tandem/shared/tensor/tensor-ops.js";

/** A value of the float64 reference: every dtype is held in doubles; ids are integers, booleans 0 or 1. */
export interface ReferenceTensor extends Tensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** @throws INVALID_ARGUMENT when the number of values is not that of the shape. */
export function referenceTensor(
  values: ArrayLike<number> | BigInt64Array,
  shape: readonly number[],
  dtype: DType = "f32",
): ReferenceTensor {
  if (values.length !== elementCount(shape)) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `a tensor of shape [${shape.join(",")}] needs ${elementCount(shape)} values, got ${values.length}`,
    );
  }
  return { dtype, shape, data: Float64Array.from(values as ArrayLike<number>, Number) };
}

/** Fills a tensor by asking for the value at each index. */
export function generate(
  dtype: DType,
  shape: readonly number[],
  valueAt: (index: readonly number[]) => number,
): ReferenceTensor {
  const data = new Float64Array(elementCount(shape));
  const index = shape.map(() => 0);
  for (let flat = 0; flat < data.length; flat++) {
    data[flat] = valueAt(index);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = (index[axis] as number) + 1;
      if ((index[axis] as number) < (shape[axis] as number)) break;
      index[axis] = 0;
    }
  }
  return { dtype, shape, data };
}

/** The value at an index of x's own rank. @throws OUT_OF_RANGE outside the tensor. */
export function read(x: ReferenceTensor, index: readonly number[]): number {
  const strides = rowMajorStrides(x.shape);
  let flat = 0;
  for (let axis = 0; axis < x.shape.length; axis++) {
    const at = index[axis] as number;
    if (!(at >= 0 && at < (x.shape[axis] as number))) {
      throw new TandemError(
        "OUT_OF_RANGE",
        `index ${at} along axis ${axis} of a tensor of shape [${x.shape.join(",")}]`,
      );
    }
    flat += at * (strides[axis] as number);
  }
  return x.data[flat] as number;
}

/** The value x has at an index of the shape it is broadcast to. */
export function readBroadcast(x: ReferenceTensor, index: readonly number[]): number {
  const offset = index.length - x.shape.length;
  return read(
    x,
    x.shape.map((size, axis) => (size === 1 ? 0 : (index[axis + offset] as number))),
  );
}
