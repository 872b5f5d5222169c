import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";

export interface RelationOptions {
  /** A, relation heads: widths are cut into so many, whatever attention has. */
  readonly heads: number;
  /** Vectors are divided by their root mean square first. */
  readonly normalised: boolean;
}

/** (1/A)·Σ_a KL(softmax(X_T·X_Tᵀ/√d)_t ‖ softmax(X_S·X_Sᵀ/√d)_t), f32 [n], over the positions of t's sequence; X slices of width d of teacher [n,D_T] and
 * student [n,D_S]; sequence f32 [n]. Source: MiniLMv2 (arXiv 2012.15828). */
export function relationKl<T extends Tensor>(
  ops: TensorOps<T>,
  {
    teacher,
    student,
    sequence,
  }: { readonly teacher: T; readonly student: T; readonly sequence: T },
  options: RelationOptions,
): T {
  const together = ops.equal(ops.unsqueeze(sequence, 1), ops.unsqueeze(sequence, 0)); // [n,n]
  const p = relations(ops, teacher, { ...options, together });
  const q = relations(ops, student, { ...options, together });
  const kl = ops.reduceSum(ops.mul(ops.exp(p), ops.sub(p, q)), { axes: [2] }); // [A,n]
  return ops.reduceMean(kl, { axes: [0] });
}

/** Stands for −∞ where positions belong to different sequences. */
const APART = -1e9;

/** Log-probabilities f32 [A,n,n]: of each position over the positions of its sequence. */
function relations<T extends Tensor>(
  ops: TensorOps<T>,
  state: T,
  { heads, normalised, together }: RelationOptions & { readonly together: T },
): T {
  const width = state.shape[1] as number;
  const x = normalised ? ops.mul(state, ops.inverseRms(state, 1e-6)) : state; // [n,D]
  const split = ops.reshape(x, [state.shape[0]!, heads, width / heads]);
  const perHead = ops.transpose(split, [1, 0, 2]); // [A,n,d]
  const scale = ops.scalar(Math.sqrt(heads / width));
  const products = ops.mul(ops.matmul(perHead, perHead, { transB: true }), scale); // [A,n,n]
  return ops.logSoftmax(ops.where(together, products, ops.scalar(APART)), 2);
}

/** @throws TandemError INVALID_ARGUMENT when the heads do not divide both widths. */
export function assertRelationHeads(
  loss: string,
  heads: number,
  { student, teacher }: { readonly student: number; readonly teacher: number },
): void {
  if (student % heads === 0 && teacher % heads === 0) return;
  throw new TandemError(
    "INVALID_ARGUMENT",
    `${loss} cuts widths ${student} (student) and ${teacher} (teacher) into ${heads} heads; choose a divisor of both`,
    { field: "losses.heads" },
  );
}
