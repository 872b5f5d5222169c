/** log Σ exp(x_i / temperature), accumulated in float64 below the maximum. −Infinity for no mass, +Infinity if any x is, NaN if any x is. */
export function logSumExp(values: ArrayLike<number>, temperature = 1): number {
  let maximum = -Infinity;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (Number.isNaN(value)) return NaN;
    if (value > maximum) maximum = value;
  }
  if (!Number.isFinite(maximum)) return maximum;
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    sum += Math.exp(((values[i] as number) - maximum) / temperature);
  }
  return maximum / temperature + Math.log(sum);
}

/** log(exp(a) + exp(b)) without overflow. */
export function logAddExp(a: number, b: number): number {
  const high = Math.max(a, b);
  if (!Number.isFinite(high)) return high;
  return high + Math.log1p(Math.exp(Math.min(a, b) - high));
}

/** log(1 − exp(x)) for x ≤ 0, exact near both ends (Mächler 2012); −Infinity at 0. */
export function log1mExp(x: number): number {
  return x > -Math.LN2 ? Math.log(-Math.expm1(x)) : Math.log1p(-Math.exp(x));
}
