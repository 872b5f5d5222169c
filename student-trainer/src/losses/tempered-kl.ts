import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import { bounded, klFromTeacher, lawsOf, total } from "./atoms.js";
import type { TemperaturePair } from "./equal-sharpness.js";

export interface TemperedKlOptions {
  /** The gradient flows into the temperatures too. */
  readonly byTemperatures: boolean;
}

/** KL(softmax(u/T_t) ‖ softmax(v/T_s)), f32 [n]; u, v f32 [n,V], temperatures f32 [n,1].
 * With a = 1/T_t, b = 1/T_s: ∂/∂v = b·(q−p), ∂/∂b = Σ (q−p)·v, ∂/∂a = Σ p·u·(log(p/q) − KL). */
export function temperedKl<T extends Tensor>(
  ops: TensorOps<T>,
  { u, v }: { readonly u: T; readonly v: T },
  temperatures: TemperaturePair<T>,
  { byTemperatures }: TemperedKlOptions,
): T {
  const a = ops.reciprocal(temperatures.teacher); // [n,1]
  const b = ops.reciprocal(temperatures.student);
  const constantB = ops.stopGradient(b);
  const laws = lawsOf(ops, { u: ops.mul(u, ops.stopGradient(a)), v: ops.mul(v, constantB) });
  const value = klFromTeacher(ops, laws);
  if (!byTemperatures) return value;
  // Finite, as it is multiplied by no mass.
  const possible = ops.maximum(u, ops.scalar(-1e30));
  const p = ops.exp(laws.teacher);
  const gap = ops.sub(ops.exp(laws.student), p);
  const ratio = ops.sub(bounded(ops, laws.teacher), laws.student); // log(p/q)
  const excess = ops.sub(ratio, ops.unsqueeze(ops.stopGradient(value), 1));
  const byA = total(ops, ops.mul(ops.mul(p, excess), possible));
  const byB = total(ops, ops.mul(gap, v));
  const nothing = ops.mul(ops.stopGradient(value), ops.scalar(0));
  const slopes = [ops.unsqueeze(byA, 1), ops.unsqueeze(byB, 1)] as const;
  return ops.add(
    value,
    ops.add(ops.withGradient(nothing, a, slopes[0]), ops.withGradient(nothing, b, slopes[1])),
  );
}
