/** Ids drawn from softmax(logits), distinct and ascending, with how often each was drawn. */
export interface DrawnTokens {
  readonly ids: Uint32Array;
  readonly counts: Uint32Array;
}

/** Samples by inverse CDF over ascending ids, in float64: each uniform in [0,1) gives the first id whose running mass exceeds uniform · total.
 * logits: f32 [V]. One pass over the vocabulary for any number of draws. */
export function drawTokens(logits: Float32Array, uniforms: readonly number[]): DrawnTokens {
  const maximum = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const weights = Float64Array.from(logits, (u) => Math.exp(u - maximum));
  const total = weights.reduce((a, b) => a + b, 0);
  const targets = Float64Array.from(uniforms, (uniform) => uniform * total).sort();
  const ids: number[] = [];
  const counts: number[] = [];
  let running = 0;
  let next = 0;
  for (let id = 0; id < weights.length && next < targets.length; id++) {
    running += weights[id]!;
    const begin = next;
    while (next < targets.length && targets[next]! < running) next++;
    if (next > begin) {
      ids.push(id);
      counts.push(next - begin);
    }
  }
  if (next < targets.length && ids.length > 0) {
    // Rounding of the sum left a target behind the last id.
    counts[counts.length - 1]! += targets.length - next;
  }
  return { ids: Uint32Array.from(ids), counts: Uint32Array.from(counts) };
}
