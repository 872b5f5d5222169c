import { TandemError } from "../errors/tandem-error.js";
import type { Dim, Shape } from "./tensor-ops.js";

export function formatShape(shape: Shape): string {
  return `[${shape.join(",")}]`;
}

/** NumPy's broadcasting over numbers and symbols; a symbol meets only itself or 1.
 * @throws INVALID_ARGUMENT naming both shapes. */
export function broadcastShapes(a: Shape, b: Shape, what = "broadcast"): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, index): Dim => {
    const left = a[index - (rank - a.length)] ?? 1;
    const right = b[index - (rank - b.length)] ?? 1;
    if (left === right || right === 1) return left;
    if (left === 1) return right;
    throw new TandemError(
      "INVALID_ARGUMENT",
      `${what}: shapes ${formatShape(a)} and ${formatShape(b)} do not broadcast (${left} against ${right})`,
    );
  });
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, axis) => dim === b[axis]);
}

/** Axes over which a value of `from`'s shape was repeated to reach `to`: those to sum over on the way back. */
export function broadcastAxes(from: Shape, to: Shape): readonly number[] {
  const offset = to.length - from.length;
  const axes: number[] = [];
  to.forEach((dim, axis) => {
    if (axis < offset || (from[axis - offset] === 1 && dim !== 1)) axes.push(axis);
  });
  return axes;
}
