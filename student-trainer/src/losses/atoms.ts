import { invariant } from "@tandem/shared/errors/invariant.js";
import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import { isTempered, type DivergenceOptions } from "./divergence-options.js";
import type { LossInputs } from "./loss-definition.js";

/** Log-probabilities of both sides over the same atoms, f32 [n,A]: all ids (A = V), or the teacher's k ids and, if any
 * are left, the rest of the vocabulary as one more (A = k + 1). The teacher's may be −∞, the student's are finite. */
export interface AtomLaws<T> {
  readonly teacher: T;
  readonly student: T;
}

/** A −∞ of the teacher where its logarithm is multiplied: the id carries no mass, and a student that puts mass there pays this many nats for it. */
const IMPOSSIBLE_LOG_PROBABILITY = -100;

/** The laws at the loss's temperature τ: softmax(u/τ) and softmax(v/τ), merged into atoms.
 * The tail bucket (docs/methods.md, forward-kl) is exact on both sides: the teacher's mass comes with the signal, the student's is the
 * log-sum-exp over the other ids themselves, since 1 − Σ of the top list loses all digits when little is left. */
export function atomLaws<T extends Tensor>(
  ops: TensorOps<T>,
  { logits, teacher }: Pick<LossInputs<T>, "logits" | "teacher">,
  options: DivergenceOptions,
): AtomLaws<T> {
  const tempered = isTempered(options) ? teacher.tempered["temperature"] : undefined;
  const inverse = tempered && ops.unsqueeze(ops.reciprocal(tempered.tau), 1); // [n,1]
  const cool = (x: T): T => (inverse === undefined ? x : ops.mul(x, inverse));
  const v = cool(logits); // [n,V]
  if (options.dense) {
    invariant(teacher.dense !== undefined, "a dense divergence is given dense teacher logits");
    return { teacher: ops.logSoftmax(cool(teacher.dense), 1), student: ops.logSoftmax(v, 1) };
  }
  const { top } = teacher;
  invariant(top !== undefined, "a divergence is given the teacher's top list");
  const lse = tempered?.lse ?? top.lse;
  const logTail = tempered?.logTail ?? top.logTail;
  const u = ops.sub(cool(top.logits), ops.unsqueeze(lse, 1)); // [n,k]
  const kept = ops.takeAlongAxis(v, top.ids, 1); // [n,k]
  if (top.ids.shape[1] === logits.shape[1]) return { teacher: u, student: ops.logSoftmax(kept, 1) };
  const hole = ops.broadcastTo(ops.scalar(-Infinity), kept);
  const rest = ops.logSumExp(ops.scatterAlongAxis(v, top.ids, hole, 1, "none"), 1); // [n]
  return {
    teacher: ops.concat([u, ops.unsqueeze(logTail, 1)], 1), // [n,k+1]
    student: ops.logSoftmax(ops.concat([kept, ops.unsqueeze(rest, 1)], 1), 1), // [n,k+1]
  };
}

/** KL(p‖q) = Σ p·(log p − log q) over atoms, f32 [n]; p the teacher. Atoms without teacher mass add 0. */
export function klFromTeacher<T extends Tensor>(
  ops: TensorOps<T>,
  { teacher, student }: AtomLaws<T>,
): T {
  return ops.reduceSum(ops.mul(ops.exp(teacher), ops.sub(finite(ops, teacher), student)), {
    axes: [1],
  });
}

/** KL(q‖p) = Σ q·(log q − log p) over atoms, f32 [n]; q the student. */
export function klFromStudent<T extends Tensor>(
  ops: TensorOps<T>,
  { teacher, student }: AtomLaws<T>,
): T {
  return ops.reduceSum(ops.mul(ops.exp(student), ops.sub(student, finite(ops, teacher))), {
    axes: [1],
  });
}

/** −∞ replaced by a finite logarithm; everything else stays. */
export function finite<T extends Tensor>(ops: TensorOps<T>, logP: T): T {
  const impossible = ops.less(logP, ops.scalar(-1e30));
  return ops.where(impossible, ops.scalar(IMPOSSIBLE_LOG_PROBABILITY), logP);
}
