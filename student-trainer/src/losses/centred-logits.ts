import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";

/** Logits minus their mean over the vocabulary, f32 [n,V]: what a softmax head means, whatever constant it adds. The mean is over the
 * ids with a finite logit; a −∞ stays one. */
export function centredLogits<T extends Tensor>(ops: TensorOps<T>, logits: T): T {
  const zero = ops.scalar(0);
  const impossible = isImpossible(ops, logits);
  const possible = ops.where(impossible, zero, ops.scalar(1));
  const sum = ops.reduceSum(ops.where(impossible, zero, logits), { axes: [1], keepDims: true });
  const count = ops.maximum(ops.reduceSum(possible, { axes: [1], keepDims: true }), ops.scalar(1));
  return ops.sub(logits, ops.div(sum, count));
}

/** bool of x's shape: a logit of −∞. */
export function isImpossible<T extends Tensor>(ops: TensorOps<T>, logits: T): T {
  return ops.less(logits, ops.scalar(-1e30));
}
