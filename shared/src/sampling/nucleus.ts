/** Selection without sorting a vocabulary: values are thrown into buckets by the leading bits of their distance from the maximum
 * (monotone, finer near the maximum, indifferent to masked outliers), and only the one bucket in which the cut falls is sorted. */

const FINE_SHIFT = 16;
/** The exponent alone: for few values, 32,000 buckets cost more than sorting does. */
const COARSE_SHIFT = 23;
const FEW_VALUES = 4096;
/** Distances are f32 ≥ 0, so bit patterns run from 0 to that of +Infinity. */
const LARGEST_BITS = 0x7f800000;

const distance = new Float32Array(1);
const distanceBits = new Uint32Array(distance.buffer);
const allTotals = new Float64Array((LARGEST_BITS >>> FINE_SHIFT) + 1);

/** Buckets for one row, all empty. */
class Buckets {
  readonly totals: Float64Array;
  readonly #maximum: number;
  readonly #shift: number;

  constructor(values: Float32Array, maximum: number) {
    this.#maximum = maximum;
    this.#shift = values.length <= FEW_VALUES ? COARSE_SHIFT : FINE_SHIFT;
    this.totals = allTotals.subarray(0, (LARGEST_BITS >>> this.#shift) + 1).fill(0);
  }

  of(value: number): number {
    distance[0] = this.#maximum - value + 0; // + 0 turns −0 (of −0 − 0) into 0, whose bits sort first
    return (distanceBits[0] as number) >>> this.#shift;
  }
}

export interface TopValues {
  /** Ascending. */
  readonly ids: Uint32Array;
  readonly values: Float32Array;
}

/** The k largest of a row, ties to the lower id, in ascending order of ids. Needs 0 < k ≤ values.length and a finite maximum. */
export function gatherTopK(values: Float32Array, maximum: number, k: number): TopValues {
  const buckets = new Buckets(values, maximum);
  const { totals } = buckets;
  for (let i = 0; i < values.length; i++) {
    const bucket = buckets.of(values[i] as number);
    totals[bucket] = (totals[bucket] as number) + 1;
  }
  const { bucket, before } = findCut(totals, k);
  const inCut = sortBucket(values, buckets, bucket).slice(0, k - before);
  const threshold = values[inCut[inCut.length - 1] as number] as number;
  let ties = inCut.filter((index) => values[index] === threshold).length;
  const ids = new Uint32Array(k);
  const kept = new Float32Array(k);
  for (let i = 0, at = 0; i < values.length && at < k; i++) {
    const value = values[i] as number;
    if (value > threshold || (value === threshold && ties-- > 0)) {
      ids[at] = i;
      kept[at++] = value;
    }
  }
  return { ids, values: kept };
}

/** Sets to zero the weights outside the nucleus: the smallest prefix by falling value (ties to the lower index) whose mass is at
 * least `topP` of the whole; never empty. */
export function keepNucleus(
  values: Float32Array,
  weights: Float64Array,
  maximum: number,
  topP: number,
): void {
  const buckets = new Buckets(values, maximum);
  const { totals } = buckets;
  let total = 0;
  for (let i = 0; i < values.length; i++) {
    const weight = weights[i] as number;
    const bucket = buckets.of(values[i] as number);
    totals[bucket] = (totals[bucket] as number) + weight;
    total += weight;
  }
  const goal = topP * total;
  const { bucket, before } = findCut(totals, goal);
  const candidates = sortBucket(values, buckets, bucket);
  let mass = before;
  let kept = 0;
  while (kept < candidates.length && (mass < goal || (kept === 0 && before === 0))) {
    mass += weights[candidates[kept++] as number] as number;
  }
  const dropped = candidates.slice(kept);
  for (const index of dropped) weights[index] = 0;
  for (let i = 0; i < values.length; i++) {
    if (buckets.of(values[i] as number) > bucket) weights[i] = 0;
  }
}

/** The first bucket at which the running total reaches `goal`, or the last one with anything in it; `before` is the total ahead of it. */
function findCut(
  totals: Float64Array,
  goal: number,
): { readonly bucket: number; readonly before: number } {
  let before = 0;
  let last = { bucket: 0, before: 0 };
  for (let bucket = 0; bucket < totals.length; bucket++) {
    const here = totals[bucket] as number;
    if (here === 0) continue;
    last = { bucket, before };
    if (before + here >= goal) break;
    before += here;
  }
  return last;
}

/** Indices of one bucket's values, by falling value, ties by rising index. */
function sortBucket(values: Float32Array, buckets: Buckets, bucket: number): number[] {
  const indices: number[] = [];
  for (let i = 0; i < values.length; i++) {
    if (buckets.of(values[i] as number) === bucket) indices.push(i);
  }
  return indices.sort((a, b) => (values[b] as number) - (values[a] as number) || a - b);
}
