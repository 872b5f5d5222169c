import type { MinibatchPosition } from "./loss-definition.js";

/** A column that makes the mean over all positions the mean over the kept ones: their share of the weight, inverted, where a position is
 * kept, 0 elsewhere; 0 everywhere if none is kept. */
export function keptShare(
  positions: readonly MinibatchPosition[],
  isKept: (position: MinibatchPosition) => boolean,
): Float32Array {
  return weightShare(positions, (position) => (isKept(position) ? 1 : 0));
}

/** The same for weights ≥ 0: the mean over all positions becomes the weighted mean; 0 everywhere if nothing weighs. */
export function weightShare(
  positions: readonly MinibatchPosition[],
  weigh: (position: MinibatchPosition) => number,
): Float32Array {
  const weights = positions.map(weigh);
  let all = 0;
  let own = 0;
  positions.forEach(({ coefficient }, at) => {
    all += coefficient;
    own += coefficient * weights[at]!;
  });
  return Float32Array.from(weights, (weight) => (weight === 0 ? 0 : (weight * all) / own));
}
