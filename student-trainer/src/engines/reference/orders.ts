import { lineThrough } from "./reductions.js";
import type { ReferenceTensor } from "./reference-tensor.js";

/** Places by falling value; of equal ones the lower comes first. */
export function fallingOrder(values: readonly number[]): readonly number[] {
  return [...values.keys()].sort((a, b) => values[b]! - values[a]! || a - b);
}

/** The falling order of the line along an axis through an index; each line is sorted once. */
export function ordersAlong(
  x: ReferenceTensor,
  axis: number,
): (index: readonly number[]) => readonly number[] {
  const known = new Map<string, readonly number[]>();
  return (index) => {
    const start = index.with(axis, 0);
    const key = start.join();
    const order = known.get(key) ?? fallingOrder(lineThrough(x, start, axis));
    known.set(key, order);
    return order;
  };
}
