import type { ReferenceTensor } from "./reference-tensor.js";
import { generate, read } from "./reference-tensor.js";

export interface MatmulShape {
  readonly transA: boolean;
  readonly transB: boolean;
  /** Of the product. */
  readonly shape: readonly number[];
}

/** Products of the matrices in the last two axes; the axes before them broadcast. */
export function matmul(
  a: ReferenceTensor,
  b: ReferenceTensor,
  { transA, transB, shape }: MatmulShape,
): ReferenceTensor {
  const inner = a.shape.at(transA ? -2 : -1) as number;
  return generate(a.dtype, shape, (index) => {
    const [m, n] = index.slice(-2) as [number, number];
    const batch = index.slice(0, -2);
    let total = 0;
    for (let k = 0; k < inner; k++) {
      const left = readBatched(a, batch, transA ? [k, m] : [m, k]);
      total += left * readBatched(b, batch, transB ? [n, k] : [k, n]);
    }
    return total;
  });
}

/** An element of the matrix that a broadcast batch index selects. */
function readBatched(
  x: ReferenceTensor,
  batch: readonly number[],
  place: readonly [number, number],
): number {
  const own = x.shape.length - 2;
  const index = Array.from({ length: own }, (_, axis) =>
    x.shape[axis] === 1 ? 0 : (batch[axis + batch.length - own] as number),
  );
  return read(x, [...index, ...place]);
}
