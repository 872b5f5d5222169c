import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";

/** f32 [n,1], or scalars. */
export interface TemperaturePair<T> {
  readonly teacher: T;
  readonly student: T;
}

export interface EqualSharpnessOptions<T> {
  /** τ, f32 scalar. */
  readonly temperature: T;
  /** No temperature goes below floor·τ. */
  readonly floor: number;
}

/** Halvings of the interval of δ: 2^−24 of it is float32's resolution. */
const HALVINGS = 24;

/** Temperatures τ + δ and τ − δ at which u and v, both centred, have the same sharpness, log Σ exp(z) = log V + KL(uniform ‖ softmax z),
 * f32 [n,1]; the nearest end of the interval where no δ equalises them, δ = 0 where both laws are uniform. No gradient. The sharpness of u
 * falls and that of v rises with δ: one crossing, found by bisection. */
export function equalSharpness<T extends Tensor>(
  ops: TensorOps<T>,
  { u, v }: { readonly u: T; readonly v: T },
  { temperature: tau, floor }: EqualSharpnessOptions<T>,
): TemperaturePair<T> {
  const sharpness = (z: T, by: T): T => ops.unsqueeze(ops.logSumExp(ops.div(z, by), 1), 1);
  const excess = (delta: T): T =>
    ops.sub(sharpness(u, ops.add(tau, delta)), sharpness(v, ops.sub(tau, delta)));
  const like = ops.reduceMax(u, { axes: [1], keepDims: true }); // [n,1]
  const reach = ops.broadcastTo(ops.mul(tau, ops.scalar(1 - floor)), like);
  let low = ops.neg(reach);
  let high = reach;
  for (let step = 0; step < HALVINGS; step++) {
    const middle = ops.mul(ops.add(low, high), ops.scalar(0.5));
    const teacherIsSharper = ops.greater(excess(middle), ops.scalar(0));
    low = ops.where(teacherIsSharper, middle, low);
    high = ops.where(teacherIsSharper, high, middle);
  }
  const uniform = ops.less(
    ops.maximum(like, ops.reduceMax(v, { axes: [1], keepDims: true })),
    ops.scalar(1e-6),
  );
  const found = ops.mul(ops.add(low, high), ops.scalar(0.5));
  const delta = ops.stopGradient(ops.where(uniform, ops.scalar(0), found));
  return { teacher: ops.add(tau, delta), student: ops.sub(tau, delta) };
}
