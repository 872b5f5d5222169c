import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";

/** A spread below this part of the mean square is rounding: the row counts as constant. */
const CONSTANT_SPREAD = 1e-10;

/** Pearson's ρ of two rows, f32 [n], in [−1, 1]; 0 where a row is constant. x, y f32 [n,m]; `valid` f32 [n,m] of 0 and 1: which
 * columns count (default: all). */
export function pearson<T extends Tensor>(ops: TensorOps<T>, x: T, y: T, valid?: T): T {
  const a = centre(ops, x, valid);
  const b = centre(ops, y, valid);
  const covariance = ops.reduceSum(ops.mul(a.values, b.values), { axes: [1] });
  const scale = ops.mul(ops.sqrt(a.spread), ops.sqrt(b.spread));
  const constant = ops.logicalOr(a.constant, b.constant);
  return ops.where(constant, ops.scalar(0), ops.div(covariance, scale));
}

export interface Centred<T> {
  /** [n,m], 0 where a column does not count. */
  readonly values: T;
  /** [n]: Σ values², 1 where the row is constant. */
  readonly spread: T;
  readonly constant: T;
}

/** A row minus its mean. */
export function centre<T extends Tensor>(ops: TensorOps<T>, x: T, valid?: T): Centred<T> {
  const only = (values: T): T => (valid === undefined ? values : ops.mul(values, valid));
  const sum = (values: T): T => ops.reduceSum(values, { axes: [1] });
  const kept = only(x);
  const mean =
    valid === undefined
      ? ops.reduceMean(x, { axes: [1] })
      : ops.div(sum(kept), ops.maximum(sum(valid), ops.scalar(1)));
  const values = only(ops.sub(x, ops.unsqueeze(mean, 1)));
  const spread = sum(ops.mul(values, values));
  const floor = ops.mul(sum(ops.mul(kept, kept)), ops.scalar(CONSTANT_SPREAD));
  const constant = ops.logicalNot(ops.greater(spread, floor));
  return { values, spread: ops.where(constant, ops.scalar(1), spread), constant };
}
