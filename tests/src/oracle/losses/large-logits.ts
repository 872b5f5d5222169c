/** The logits of `large_logits` in tests/peers/make_loss_fixtures.py, [rows,V]: peaks over a flat floor, from sines that any language computes
 * alike. */
export function largeLogits(
  phase: number,
  { rows, vocabulary }: { readonly rows: number; readonly vocabulary: number },
): Float32Array {
  return Float32Array.from({ length: rows * vocabulary }, (_, at) => {
    const [i, row] = [at % vocabulary, Math.floor(at / vocabulary)];
    const x = 4 * Math.sin(0.7 * i + row + phase) + 5 * Math.sin(0.0013 * i * i + row + phase);
    return 0.02 * x ** 3;
  });
}
