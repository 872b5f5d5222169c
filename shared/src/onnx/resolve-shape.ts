import { TandemError } from "../errors/tandem-error.js";
import { formatShape } from "../tensor/broadcast.js";
import { addDims, canonicalDim, divideShapes } from "../tensor/dim.js";
import type { Dim, Shape } from "../tensor/tensor-ops.js";

/** The target of a reshape in canonical form, with −1 replaced by the size that is left over.
 * @throws INVALID_ARGUMENT when that does not come out even. */
export function resolveReshape(from: Shape, target: Shape): Shape {
  const shape = target.map(canonicalDim);
  const at = shape.indexOf(-1);
  if (at < 0) return shape;
  const rest = divideShapes(from, shape.toSpliced(at, 1));
  if (rest === undefined || rest === 0) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `reshape: ${formatShape(from)} does not divide into ${formatShape(target)}`,
    );
  }
  return shape.with(at, rest);
}

/** A slice's bound counted from the front: negative numbers count from the end, Infinity is the end. */
export function resolveBound(bound: Dim, size: Dim): Dim {
  if (bound === Infinity) return size;
  if (typeof bound === "number" && bound < 0) return addDims(size, bound);
  if (typeof bound === "number" && typeof size === "number") return Math.min(bound, size);
  return canonicalDim(bound);
}
