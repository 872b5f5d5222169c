import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import { alongSoftmax, bounded, total, type AtomLaws } from "./atoms.js";

/** A mixture's probability counts as at least this much: where both sides have less, nothing is left to multiply its logarithm with. */
const LEAST_PROBABILITY = 1e-37;

/** A mixture m = β·p + (1−β)·q = (1−β)·s with s = ω·p + q, ω = β/(1−β), which is one pass over the atoms less. */
interface Mixed<T> {
  readonly p: T;
  readonly q: T;
  /** f32 [n,A]. */
  readonly s: T;
  readonly logM: T;
}

/** β: a number, or f32 [n,1]. */
type Share<T> = T | number;

function mix<T extends Tensor>(
  ops: TensorOps<T>,
  { teacher, student }: AtomLaws<T>,
  share: Share<T>,
): Mixed<T> {
  const beta = typeof share === "number" ? ops.constant([share], [1, 1]) : share;
  const rest = ops.sub(ops.scalar(1), beta);
  const [p, q] = [ops.exp(teacher), ops.exp(student)];
  const weighted = share === 0.5 ? p : ops.mul(p, ops.div(beta, rest));
  const s = ops.maximum(ops.add(weighted, q), ops.scalar(LEAST_PROBABILITY));
  return { p, q, s, logM: ops.sub(ops.log(s), ops.neg(ops.log(rest))) };
}

/** KL(p‖m), m = β·p + (1−β)·q, f32 [n]; 0 < β < 1. By the student's logits: −(1−β)·q·(p/m − Σ q·p/m). */
export function teacherToMixture<T extends Tensor>(
  ops: TensorOps<T>,
  laws: AtomLaws<T>,
  beta: Share<T>,
): T {
  const { p, q, s, logM } = mix(ops, laws, beta);
  const value = total(ops, ops.mul(p, ops.sub(bounded(ops, laws.teacher), logM)));
  const slope = alongSoftmax(ops, q, ops.div(p, s)); // (1−β)·p/m = p/s
  return ops.withGradient(value, laws.logits, ops.mul(slope, ops.scalar(-1)));
}

/** KL(q‖m), m = β·p + (1−β)·q, f32 [n]. With h = log(q/m) − (1−β)·q/m the gradient by the student's logits is q·(h − Σ q·h); with
 * `detachMixture`, where the student inside the mixture is a constant, h = log(q/m). */
export function studentToMixture<T extends Tensor>(
  ops: TensorOps<T>,
  laws: AtomLaws<T>,
  { beta, detachMixture }: { readonly beta: Share<T>; readonly detachMixture: boolean },
): T {
  const { q, s, logM } = mix(ops, laws, beta);
  const ratio = ops.sub(laws.student, logM); // log(q/m)
  const value = total(ops, ops.mul(q, ratio));
  if (detachMixture) {
    return ops.withGradient(value, laws.logits, alongSoftmax(ops, q, ratio, value));
  }
  const inside = ops.div(q, s); // (1−β)·q/m
  return ops.withGradient(value, laws.logits, alongSoftmax(ops, q, ops.sub(ratio, inside)));
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
