import type { ReferenceTensor } from "./reference-tensor.js";
import { generate, read } from "./reference-tensor.js";

export interface ReducedAxes {
  readonly axes: readonly number[];
  readonly keepDims: boolean;
}

/** Reduces the values along the axes, which `combine` gets in row-major order. */
export function reduce(
  x: ReferenceTensor,
  { axes, keepDims }: ReducedAxes,
  combine: (values: readonly number[]) => number,
): ReferenceTensor {
  const keptShape = x.shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
  const ranges = x.shape.map((size, axis) => (axes.includes(axis) ? size : 1));
  const reduced = generate(x.dtype, keptShape, (index) => {
    const line = generate("f64", ranges, (offset) =>
      read(
        x,
        index.map((at, axis) => at + (offset[axis] as number)),
      ),
    );
    return combine(Array.from(line.data));
  });
  if (keepDims) return reduced;
  return { ...reduced, shape: x.shape.filter((_, axis) => !axes.includes(axis)) };
}

/** The line of values along one axis through an index. */
export function lineThrough(
  x: ReferenceTensor,
  index: readonly number[],
  axis: number,
): readonly number[] {
  return Array.from({ length: x.shape[axis] as number }, (_, at) => read(x, index.with(axis, at)));
}
