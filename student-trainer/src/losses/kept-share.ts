import type { MinibatchPosition } from "./loss-definition.js";

/** A column that makes the mean over all positions the mean over the kept ones: their share of the weight, inverted, where a position is
 * kept, 0 elsewhere; 0 everywhere if none is kept. */
export function keptShare(
  positions: readonly MinibatchPosition[],
  isKept: (position: MinibatchPosition) => boolean,
): Float32Array {
  const kept = positions.map(isKept);
  let all = 0;
  let own = 0;
  positions.forEach(({ coefficient }, at) => {
    all += coefficient;
    if (kept[at]) own += coefficient;
  });
  return Float32Array.from(kept, (keep) => (keep ? all / own : 0));
}
