import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import { alongSoftmax, bounded, total, type AtomLaws } from "./atoms.js";

/** A mixture's probability counts as at least this much: where both sides have less, nothing is left to multiply its logarithm with. */
const LEAST_PROBABILITY = 1e-37;

interface Mixed<T> {
  readonly p: T;
  readonly q: T;
  /** m = β·p + (1−β)·q, f32 [n,A]. */
  readonly m: T;
  readonly logM: T;
}

/** β: a number, or f32 [n,1]. */
type Share<T> = T | number;

interface Shares<T> {
  readonly beta: T;
  /** 1 − β. */
  readonly rest: T;
}

function sharesOf<T extends Tensor>(ops: TensorOps<T>, beta: Share<T>): Shares<T> {
  if (typeof beta === "number") return { beta: ops.scalar(beta), rest: ops.scalar(1 - beta) };
  return { beta, rest: ops.sub(ops.scalar(1), beta) };
}

function mix<T extends Tensor>(
  ops: TensorOps<T>,
  { teacher, student }: AtomLaws<T>,
  { beta, rest }: Shares<T>,
): Mixed<T> {
  const [p, q] = [ops.exp(teacher), ops.exp(student)];
  const sum = ops.add(ops.mul(p, beta), ops.mul(q, rest));
  const m = ops.maximum(sum, ops.scalar(LEAST_PROBABILITY));
  return { p, q, m, logM: ops.log(m) };
}

/** KL(p‖m), m = β·p + (1−β)·q, f32 [n]; 0 < β < 1. By the student's logits: −(1−β)·q·(p/m − Σ q·p/m). */
export function teacherToMixture<T extends Tensor>(
  ops: TensorOps<T>,
  laws: AtomLaws<T>,
  beta: Share<T>,
): T {
  const shares = sharesOf(ops, beta);
  const { p, q, m, logM } = mix(ops, laws, shares);
  const value = total(ops, ops.mul(p, ops.sub(bounded(ops, laws.teacher), logM)));
  const slope = alongSoftmax(ops, q, ops.mul(q, ops.div(p, m)));
  return ops.withGradient(value, laws.logits, ops.mul(slope, ops.neg(shares.rest)));
}

/** KL(q‖m), m = β·p + (1−β)·q, f32 [n]. With h = log(q/m) − (1−β)·q/m the gradient by the student's logits is q·(h − Σ q·h); with
 * `detachMixture`, where the student inside the mixture is a constant, h = log(q/m). */
export function studentToMixture<T extends Tensor>(
  ops: TensorOps<T>,
  laws: AtomLaws<T>,
  { beta, detachMixture }: { readonly beta: Share<T>; readonly detachMixture: boolean },
): T {
  const shares = sharesOf(ops, beta);
  const { q, m, logM } = mix(ops, laws, shares);
  const terms = ops.mul(q, ops.sub(laws.student, logM));
  const value = total(ops, terms);
  if (detachMixture) {
    return ops.withGradient(value, laws.logits, alongSoftmax(ops, q, terms, value));
  }
  const inside = ops.mul(ops.mul(q, ops.div(q, m)), shares.rest);
  return ops.withGradient(value, laws.logits, alongSoftmax(ops, q, ops.sub(terms, inside)));
}

/** β·KL(p‖m) + (1−β)·KL(q‖m), f32 [n]. m minimises it, so that its gradient is that with m held constant. */
export function bothToMixture<T extends Tensor>(
  ops: TensorOps<T>,
  laws: AtomLaws<T>,
  beta: number,
): T {
  const fromTeacher = ops.stopGradient(teacherToMixture(ops, laws, beta));
  const fromStudent = studentToMixture(ops, laws, { beta, detachMixture: true });
  return ops.add(
    ops.mul(fromTeacher, ops.scalar(beta)),
    ops.mul(fromStudent, ops.scalar(1 - beta)),
  );
}
