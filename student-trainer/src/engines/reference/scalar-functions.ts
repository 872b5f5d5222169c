/** erf to double precision: its Taylor series where that converges fast, the continued fraction of erfc elsewhere
 * (Abramowitz & Stegun 7.1.6 and 7.1.14). */
export function erf(x: number): number {
  const magnitude = Math.abs(x);
  if (magnitude < 2.5) {
    let term = magnitude;
    let sum = magnitude;
    for (let n = 1; n < 100 && term > 1e-18 * sum; n++) {
      term *= (2 * magnitude * magnitude) / (2 * n + 1);
      sum += term;
    }
    return Math.sign(x) * (2 / Math.sqrt(Math.PI)) * Math.exp(-magnitude * magnitude) * sum;
  }
  let fraction = magnitude;
  for (let n = 120; n >= 1; n--) fraction = magnitude + n / 2 / fraction;
  const complement = Math.exp(-magnitude * magnitude) / (Math.sqrt(Math.PI) * fraction);
  return Math.sign(x) * (1 - complement);
}

export function sigmoid(x: number): number {
  return x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));
}

export function gelu(x: number, approximate: "erf" | "tanh"): number {
  if (approximate === "erf") return 0.5 * x * (1 + erf(x / Math.SQRT2));
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

/** log Σ exp; −∞ when every entry is. */
export function logSumExp(values: readonly number[]): number {
  const largest = Math.max(...values);
  if (!Number.isFinite(largest)) return largest;
  return largest + Math.log(values.reduce((sum, value) => sum + Math.exp(value - largest), 0));
}
