import type { GraphTensor } from "@tandem/shared/onnx/graph.js";
import type { DType, Shape, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";

export interface CaseInput {
  readonly dtype: DType;
  /** As declared; symbols name run-time sizes. */
  readonly shape: Shape;
  /** As fed. */
  readonly sizes: readonly number[];
  readonly values: readonly number[];
}

/** One use of one operation, with numbers. */
export interface OpCase {
  readonly name: string;
  readonly inputs: readonly CaseInput[];
  readonly build: (ops: TensorOps<GraphTensor>, xs: readonly GraphTensor[]) => GraphTensor;
  /** Which inputs are differentiated; default: all floating-point ones. */
  readonly wrt?: readonly number[];
  /** Where finite differences do not apply (ties): the expected gradient by the first input, by hand, for a seed of ones. */
  readonly expected?: readonly number[];
}

/** A fixed sequence of numbers in (-1, 1) without structure: the fractional parts of multiples of the golden ratio. */
export function spread(count: number, start = 1): readonly number[] {
  return Array.from({ length: count }, (_, index) => {
    return 2 * ((((index + start) * 0.6180339887498949) % 1) - 0.5);
  });
}

const SIZES: Readonly<Record<string, number>> = { B: 2, T: 3, N: 4, V: 5 };

function sizesOf(shape: Shape): readonly number[] {
  return shape.map((dim) => (typeof dim === "number" ? dim : (SIZES[dim] as number)));
}

/** f32 input with values from `spread`, changed by `map`. */
export function floats(
  shape: Shape,
  start = 1,
  map: (value: number) => number = (value) => 1.5 * value,
): CaseInput {
  const sizes = sizesOf(shape);
  const count = sizes.reduce((a, b) => a * b, 1);
  return { dtype: "f32", shape, sizes, values: spread(count, start).map(map).map(Math.fround) };
}

export function floatsOf(shape: Shape, values: readonly number[]): CaseInput {
  return { dtype: "f32", shape, sizes: sizesOf(shape), values: values.map(Math.fround) };
}

export function ids(shape: Shape, values: readonly number[]): CaseInput {
  return { dtype: "i64", shape, sizes: sizesOf(shape), values };
}
