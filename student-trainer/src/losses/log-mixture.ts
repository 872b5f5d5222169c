import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import type { AtomLaws } from "./atoms.js";

/** log(β·p + (1−β)·q) per atom without leaving the logarithm, f32 [n,A]; 0 < β < 1. The teacher's logarithms must be finite. */
export function logMixture<T extends Tensor>(
  ops: TensorOps<T>,
  { teacher, student }: AtomLaws<T>,
  beta: number,
): T {
  const a = ops.add(teacher, ops.scalar(Math.log(beta)));
  const b = ops.add(student, ops.scalar(Math.log(1 - beta)));
  const larger = ops.stopGradient(ops.maximum(a, b));
  const sum = ops.add(ops.exp(ops.sub(a, larger)), ops.exp(ops.sub(b, larger)));
  return ops.add(larger, ops.log(sum));
}

export interface MixtureOptions {
  /** Whose divergence from the mixture it is. */
  readonly of: "teacher" | "student";
  /** β: the mixture is β·p + (1−β)·q. */
  readonly teacherWeight: number;
  /** The student inside the mixture is a constant. */
  readonly detachMixture?: boolean;
}

/** KL(p‖m) or KL(q‖m), m = β·p + (1−β)·q, f32 [n]. The teacher's logarithms must be finite. */
export function klToMixture<T extends Tensor>(
  ops: TensorOps<T>,
  laws: AtomLaws<T>,
  { of, teacherWeight, detachMixture = false }: MixtureOptions,
): T {
  const mixed = detachMixture ? { ...laws, student: ops.stopGradient(laws.student) } : laws;
  const mixture = logMixture(ops, mixed, teacherWeight); // [n,A]
  const own = laws[of];
  return ops.reduceSum(ops.mul(ops.exp(own), ops.sub(own, mixture)), { axes: [1] });
}
