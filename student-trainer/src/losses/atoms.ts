import { invariant } from "@tandem/shared/errors/invariant.js";
import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import { isTempered, type WholeListOptions } from "./divergence-options.js";
import type { LossInputs } from "./loss-definition.js";

/** Both sides over the same atoms, f32 [n,A]: all ids (A = V), or the teacher's k ids and, if any are left, the rest of the vocabulary as
 * one more (A = k + 1). */
export interface AtomLaws<T> {
  /** log p; may be −∞. */
  readonly teacher: T;
  /** log q; finite. */
  readonly student: T;
  /** What the student's law is the softmax of. Gradients that are known in closed form are taken by it. */
  readonly logits: T;
}

/** log p counts as at least this much where it is multiplied: a student that puts mass where the teacher has none pays so many nats for it. */
const LEAST_LOG_PROBABILITY = -100;

/** The student's logit where a list has no entry: far below any other, and finite, so that an atom of no mass on both sides adds 0 to everything. */
const UNUSED_LOGIT = -1e6;

/** The laws softmax(u) and softmax(v), u and v f32 [n,A]. */
export function lawsOf<T extends Tensor>(
  ops: TensorOps<T>,
  { u, v }: { readonly u: T; readonly v: T },
): AtomLaws<T> {
  return { teacher: logLaw(ops, u), student: logLaw(ops, v), logits: v };
}

/** Below, the logarithm of a law is one operation; above, a pass over its atoms costs more than an operation. */
const MANY_ATOMS = 1024;

/** log softmax(x), f32 [n,A]. Over many atoms by its parts: the graph then takes the normaliser from sums over the atoms instead of from each. */
function logLaw<T extends Tensor>(ops: TensorOps<T>, x: T): T {
  const atoms = x.shape[1];
  if (typeof atoms === "number" && atoms < MANY_ATOMS) return ops.logSoftmax(x, 1);
  return ops.sub(x, ops.unsqueeze(ops.logSumExp(x, 1), 1));
}

/** The laws at the loss's temperature τ: softmax(u/τ) and softmax(v/τ), merged into atoms.
 * The tail bucket (docs/methods.md, forward-kl) is exact on both sides: the teacher's mass comes with the signal, the student's is the
 * log-sum-exp over the other ids themselves, since 1 − Σ of the top list loses all digits when little is left. */
export function atomLaws<T extends Tensor>(
  ops: TensorOps<T>,
  { logits, teacher }: Pick<LossInputs<T>, "logits" | "teacher">,
  options: WholeListOptions,
): AtomLaws<T> {
  const tempered = isTempered(options) ? teacher.tempered["temperature"] : undefined;
  const inverse = tempered && ops.unsqueeze(ops.reciprocal(tempered.tau), 1); // [n,1]
  const cool = (x: T): T => (inverse === undefined ? x : ops.mul(x, inverse));
  if (options.dense) {
    invariant(teacher.dense !== undefined, "a dense divergence is given dense teacher logits");
    return lawsOf(ops, { u: cool(teacher.dense), v: cool(logits) });
  }
  const { top } = teacher;
  invariant(top !== undefined, "a divergence is given the teacher's top list");
  const list = {
    ids: top.ids,
    u: cool(top.logits),
    lse: tempered?.lse ?? top.lse,
    logTail: tempered?.logTail ?? top.logTail,
    ...(top.used && { used: top.used }),
  };
  return listedLaws(ops, { v: logits, inverse }, list);
}

/** The teacher's list at its temperature. */
export interface TemperedList<T> {
  /** i64 [n,k]. */
  readonly ids: T;
  /** f32 [n,k]: logits divided by the temperature. */
  readonly u: T;
  /** f32 [n]: of softmax(u/τ). */
  readonly lse: T;
  readonly logTail: T;
  /** f32 [n,k]: 1 at the entries of lists that may be shorter (`TopTensors.used`). */
  readonly used?: T;
}

/** The student's logits f32 [n,V], and what multiplies them: 1/τ f32 [n,1], or nothing. */
export interface StudentLogits<T> {
  readonly v: T;
  readonly inverse?: T | undefined;
}

/** Merged into the list's atoms and one for the rest. Ids are taken and left out before the temperature, so that several temperatures share it. */
export function listedLaws<T extends Tensor>(
  ops: TensorOps<T>,
  { v, inverse }: StudentLogits<T>,
  { ids, u, lse, logTail, used }: TemperedList<T>,
): AtomLaws<T> {
  const cool = (x: T): T => (inverse === undefined ? x : ops.mul(x, inverse));
  const logP = ops.sub(u, ops.unsqueeze(lse, 1)); // [n,k]
  const listed = ops.takeAlongAxis(v, ids, 1); // [n,k]
  const kept =
    used === undefined
      ? listed
      : ops.where(ops.greater(used, ops.scalar(0)), listed, ops.scalar(UNUSED_LOGIT));
  if (ids.shape[1] === v.shape[1]) {
    const own = cool(kept);
    return { teacher: logP, student: ops.logSoftmax(own, 1), logits: own };
  }
  const hole = ops.broadcastTo(ops.scalar(-Infinity), kept);
  const others = ops.scatterAlongAxis(v, ids, hole, 1, "none"); // [n,V]
  const rest = ops.logSumExp(cool(others), 1); // [n]
  const atoms = ops.concat([cool(kept), ops.unsqueeze(rest, 1)], 1); // [n,k+1]
  return {
    teacher: ops.concat([logP, ops.unsqueeze(logTail, 1)], 1), // [n,k+1]
    student: ops.logSoftmax(atoms, 1),
    logits: atoms,
  };
}

/** KL(p‖q) = Σ p·log(p/q) over atoms, f32 [n]; p the teacher. By the student's logits: q − p. Atoms without teacher mass add 0. */
export function klFromTeacher<T extends Tensor>(
  ops: TensorOps<T>,
  { teacher, student, logits }: AtomLaws<T>,
): T {
  const p = ops.exp(teacher);
  const value = total(ops, ops.mul(p, ops.sub(bounded(ops, teacher), student)));
  return ops.withGradient(value, logits, ops.sub(ops.exp(student), p));
}

/** KL(q‖p) = Σ q·log(q/p) over atoms, f32 [n]; q the student. By its logits: q·(log(q/p) − KL). */
export function klFromStudent<T extends Tensor>(
  ops: TensorOps<T>,
  { teacher, student, logits }: AtomLaws<T>,
): T {
  const q = ops.exp(student);
  const ratio = ops.sub(student, bounded(ops, teacher)); // log(q/p)
  const value = total(ops, ops.mul(q, ratio));
  return ops.withGradient(value, logits, alongSoftmax(ops, q, ratio, value));
}

/** Σ over atoms, f32 [n]. */
export function total<T extends Tensor>(ops: TensorOps<T>, terms: T): T {
  return ops.reduceSum(terms, { axes: [1] });
}

/** The gradient of a function with ∂/∂q_i = h_i by the logits behind q, q_i·(h_i − Σ_j q_j·h_j); a number added to all h changes nothing. */
export function alongSoftmax<T extends Tensor>(
  ops: TensorOps<T>,
  q: T,
  h: T,
  mean: T = total(ops, ops.mul(q, h)),
): T {
  return ops.mul(q, ops.sub(h, ops.unsqueeze(mean, 1)));
}

/** A teacher's log-probability, at least so high that products with it exist. */
export function bounded<T extends Tensor>(ops: TensorOps<T>, logP: T): T {
  return ops.maximum(logP, ops.scalar(LEAST_LOG_PROBABILITY));
}
