import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";

/** Logits minus their mean over the vocabulary, f32 [n,V]: what a softmax head means, whatever constant it adds. The mean is over the
 * ids with a finite logit; a −∞ stays one. */
export function centredLogits<T extends Tensor>(ops: TensorOps<T>, logits: T): T {
  return ops.sub(logits, meanLogit(ops, logits));
}

/** f32 [n,1], over the ids with a finite logit. */
export function meanLogit<T extends Tensor>(ops: TensorOps<T>, logits: T): T {
  const counts = isPossible(ops, logits); // [n,V]
  const finite = ops.mul(ops.maximum(logits, ops.scalar(LEAST_LOGIT)), counts);
  const count = ops.reduceSum(counts, { axes: [1], keepDims: true });
  return ops.div(
    ops.reduceSum(finite, { axes: [1], keepDims: true }),
    ops.maximum(count, ops.scalar(1)),
  );
}

/** No logit of a model is lower; −∞ is. */
const LEAST_LOGIT = -1e30;

/** f32 of x's shape: 0 where a logit is −∞, 1 elsewhere. */
export function isPossible<T extends Tensor>(ops: TensorOps<T>, logits: T): T {
  return ops.cast(ops.greater(logits, ops.scalar(LEAST_LOGIT)), "f32");
}

/** bool of x's shape: a logit of −∞. */
export function isImpossible<T extends Tensor>(ops: TensorOps<T>, logits: T): T {
  return ops.less(logits, ops.scalar(LEAST_LOGIT));
}
