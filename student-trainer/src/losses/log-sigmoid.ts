import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";

/** log σ(x) = min(x, 0) − log(1 + exp(−|x|)): no overflow on either side. */
export function logSigmoid<T extends Tensor>(ops: TensorOps<T>, x: T): T {
  const correction = ops.log(ops.add(ops.scalar(1), ops.exp(ops.neg(ops.abs(x)))));
  return ops.sub(ops.minimum(x, ops.scalar(0)), correction);
}
