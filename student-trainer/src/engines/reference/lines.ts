import { lineThrough } from "./reductions.js";
import type { ReferenceTensor } from "./reference-tensor.js";
import { generate, read } from "./reference-tensor.js";

/** Tensors one behind the other along an axis. shape: of the result. */
export function concat(
  xs: readonly ReferenceTensor[],
  axis: number,
  shape: readonly number[],
): ReferenceTensor {
  return generate((xs[0] as ReferenceTensor).dtype, shape, (index) => {
    let inner = index[axis] as number;
    for (const x of xs) {
      const size = x.shape[axis] as number;
      if (inner < size) return read(x, index.with(axis, inner));
      inner -= size;
    }
    return NaN;
  });
}

export interface Scatter {
  readonly ids: ReferenceTensor;
  readonly updates: ReferenceTensor;
  readonly axis: number;
  readonly reduction: "none" | "add";
}

/** x with updates at ids along an axis; of equal ids the last update counts, or all are added. */
export function scatter(
  x: ReferenceTensor,
  { ids, updates, axis, reduction }: Scatter,
): ReferenceTensor {
  return generate(x.dtype, x.shape, (index) => {
    let value = read(x, index);
    lineThrough(ids, index.with(axis, 0), axis).forEach((id, place) => {
      const update = read(updates, index.with(axis, place));
      if (id === index[axis]) value = reduction === "add" ? value + update : update;
    });
    return value;
  });
}
