import { TandemError } from "../errors/tandem-error.js";

/** Number of elements of a shape; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Row-major strides in elements. */
export function rowMajorStrides(shape: readonly number[]): number[] {
  const strides = Array.from(shape, () => 1);
  for (let axis = shape.length - 2; axis >= 0; axis--) {
    strides[axis] = (strides[axis + 1] as number) * (shape[axis + 1] as number);
  }
  return strides;
}

/** An axis counted from the front. @throws INVALID_ARGUMENT when it lies outside [-rank, rank). */
export function normalizeAxis(axis: number, rank: number): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `axis ${axis} does not exist in a tensor of rank ${rank}; allowed are ${-rank} to ${rank - 1}`,
    );
  }
  return axis < 0 ? axis + rank : axis;
}

/** Distinct axes counted from the front, rising; all of them when none is named. */
export function normalizeAxes(axes: readonly number[] | undefined, rank: number): number[] {
  if (axes === undefined) return Array.from({ length: rank }, (_, axis) => axis);
  const distinct = new Set(axes.map((axis) => normalizeAxis(axis, rank)));
  return [...distinct].sort((a, b) => a - b);
}
