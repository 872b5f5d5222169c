import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";

/** Sorts ids that do not count behind all that do. */
const LAST = -1e9;
/** Beyond LAST in both directions. */
const EXCLUDED = 1e20;

/** Differentiable ranks of the valid columns, 1 = smallest, f32 [n,m], 0 where not valid: the L2 projection of x/strength onto the
 * permutahedron. x f32 [n,m], valid f32 [n,m] of 0 and 1.
 *
 * With sorted x and w = (count, …, 1) the rank is s − v, s = x/strength, v the non-increasing isotonic regression of s − w:
 * v_i = min_{a≤i} max_{b≥i} mean(s − w)[a..b]; equal v form a block. Gaps above `strength` give exact ranks and no gradient;
 * gaps all below it give x/strength plus a constant. The gradient is that of the pooled blocks.
 * Source: Blondel et al. 2020 (arXiv 2002.08871) §4–5, as torchsort.soft_rank(regularization="l2"). O(m³) per row: m ≤ 64. */
export function softRank<T extends Tensor>(
  ops: TensorOps<T>,
  { x, valid }: { readonly x: T; readonly valid: T },
  strength: number,
): T {
  const size = x.shape[1] as number;
  const isValid = ops.greater(valid, ops.scalar(0.5));
  const scaled = ops.where(isValid, ops.mul(x, ops.scalar(1 / strength)), ops.scalar(LAST));
  const { indices } = ops.topK(ops.stopGradient(scaled), size, 1);
  const s = ops.takeAlongAxis(scaled, indices, 1); // [n,m], falling
  const counts = ops.takeAlongAxis(valid, indices, 1);
  const places = ops.constant(
    Float32Array.from({ length: size }, (_, i) => i),
    [1, size],
  );
  const count = ops.reduceSum(valid, { axes: [1], keepDims: true }); // [n,1]
  const sorted = ops.greater(counts, ops.scalar(0.5));
  const y = ops.where(sorted, ops.sub(s, ops.sub(count, places)), ops.scalar(LAST));
  const blocks = blockMeans(ops, ops.stopGradient(y), counts); // [n,m,m]
  const pooled = ops.squeeze(ops.matmul(blocks, ops.unsqueeze(y, 2)), 2); // v
  const ranks = ops.where(sorted, ops.sub(s, pooled), ops.scalar(0));
  const zeros = ops.mul(ops.stopGradient(ranks), ops.scalar(0));
  return ops.scatterAlongAxis(zeros, indices, ranks, 1, "none");
}

/** [n,m,m]: the matrix that replaces y by the mean of its block. */
function blockMeans<T extends Tensor>(ops: TensorOps<T>, y: T, counts: T): T {
  const v = isotonic(ops, y);
  const largest = ops.reduceMax(ops.abs(ops.mul(y, counts)), { axes: [1], keepDims: true });
  const tolerance = ops.unsqueeze(ops.mul(ops.add(largest, ops.scalar(1)), ops.scalar(2e-6)), 1);
  const gap = ops.abs(ops.sub(ops.unsqueeze(v, 2), ops.unsqueeze(v, 1))); // [n,m,m]
  const both = ops.mul(ops.unsqueeze(counts, 2), ops.unsqueeze(counts, 1));
  const together = ops.where(ops.greater(gap, tolerance), ops.scalar(0), both);
  const members = ops.reduceSum(together, { axes: [2], keepDims: true });
  return ops.div(together, ops.maximum(members, ops.scalar(1)));
}

/** The non-increasing sequence nearest to y, [n,m], by its minimax formula, for all places i at once. */
function isotonic<T extends Tensor>(ops: TensorOps<T>, y: T): T {
  const size = y.shape[1] as number;
  const places = Array.from({ length: size }, (_, place) => place);
  const square = places.flatMap((a) => places.map((b) => [a, b] as const));
  // [j, a·m + b]: 1/(b−a+1) for a ≤ j ≤ b
  const averages = places.flatMap((j) =>
    square.map(([a, b]) => (a <= j && j <= b ? 1 / (b - a + 1) : 0)),
  );
  // Excludes b < i from the maximum and a > i from the minimum.
  const before = places.flatMap((i) => square.map(([, b]) => (b < i ? -EXCLUDED : 0)));
  const behind = places.flatMap((i) => places.map((a) => (a > i ? EXCLUDED : 0)));
  const constant = (values: readonly number[], shape: readonly number[]): T =>
    ops.constant(Float32Array.from(values), shape);
  const means = ops.matmul(y, constant(averages, [size, size * size])); // [n,m·m]
  const rows = ops.reshape(means, [...y.shape.slice(0, 1), 1, size, size]);
  const allowed = ops.add(rows, constant(before, [1, size, size, size])); // [n,i,a,b]
  const highest = ops.reduceMax(allowed, { axes: [3] }); // [n,i,a]
  return ops.reduceMin(ops.add(highest, constant(behind, [1, size, size])), { axes: [2] });
}
