/** √Σ g² over all gradients, summed in float64 in eight interleaved lanes per tensor: fixed order, so the same bits every time. */
export function globalNorm(gradients: Iterable<Float32Array>): number {
  let total = 0;
  for (const gradient of gradients) total += sumOfSquares(gradient);
  return Math.sqrt(total);
}

/** What gradients are multiplied with so that their global norm is at most `clipNorm`. As in `torch.nn.utils.clip_grad_norm_`,
 * the norm gets 1e-6 added, so that a norm just above the limit ends just below it. */
export function clipFactor(norm: number, clipNorm: number | null): number {
  return clipNorm === null ? 1 : Math.min(1, clipNorm / (norm + 1e-6));
}

/** Eight lanes: one running sum would wait for each addition. */
function sumOfSquares(values: Float32Array): number {
  const even = values.length - (values.length % 8);
  let [s0, s1, s2, s3, s4, s5, s6, s7] = [0, 0, 0, 0, 0, 0, 0, 0];
  for (let i = 0; i < even; i += 8) {
    s0 += square(values[i] as number);
    s1 += square(values[i + 1] as number);
    s2 += square(values[i + 2] as number);
    s3 += square(values[i + 3] as number);
    s4 += square(values[i + 4] as number);
    s5 += square(values[i + 5] as number);
    s6 += square(values[i + 6] as number);
    s7 += square(values[i + 7] as number);
  }
  for (let i = even; i < values.length; i++) s0 += square(values[i] as number);
  return s0 + s1 + (s2 + s3) + (s4 + s5 + (s6 + s7));
}

function square(value: number): number {
  return value * value;
}
