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
