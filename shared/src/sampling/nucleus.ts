/** Selection without sorting a vocabulary: values are thrown into buckets by the leading bits of their distance from the maximum
 * (monotone, finer near the maximum, indifferent to masked outliers), and only the one bucket in which the cut falls is sorted. */

const BUCKET_SHIFT = 16;
/** Distances are f32 ≥ 0, so bit patterns run from 0 to that of +Infinity. */
const BUCKETS = (0x7f800000 >>> BUCKET_SHIFT) + 1;

const distance = new Float32Array(1);
const distanceBits = new Uint32Array(distance.buffer);
const bucketTotals = new Float64Array(BUCKETS);

function bucketOf(maximum: number, value: number): number {
  distance[0] = maximum - value + 0; // + 0 turns −0 (of −0 − 0) into 0, whose bits sort first
  return (distanceBits[0] as number) >>> BUCKET_SHIFT;
}

export interface TopValues {
  /** Ascending. */
  readonly ids: Uint32Array;
  readonly values: Float32Array;
}

/** The k largest of a row, ties to the lower id, in ascending order of ids. Needs 0 < k ≤ values.length and a finite maximum. */
export function gatherTopK(values: Float32Array, maximum: number, k: number): TopValues {
  bucketTotals.fill(0);
  for (let i = 0; i < values.length; i++) {
    const bucket = bucketOf(maximum, values[i] as number);
    bucketTotals[bucket] = (bucketTotals[bucket] as number) + 1;
  }
  const { bucket, before } = findCut(k);
  const inCut = sortBucket(values, maximum, bucket).slice(0, k - before);
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
  bucketTotals.fill(0);
  let total = 0;
  for (let i = 0; i < values.length; i++) {
    const weight = weights[i] as number;
    const bucket = bucketOf(maximum, values[i] as number);
    bucketTotals[bucket] = (bucketTotals[bucket] as number) + weight;
    total += weight;
  }
  const goal = topP * total;
  const { bucket, before } = findCut(goal);
  const candidates = sortBucket(values, maximum, bucket);
  let mass = before;
  let kept = 0;
  while (kept < candidates.length && (mass < goal || (kept === 0 && before === 0))) {
    mass += weights[candidates[kept++] as number] as number;
  }
  const dropped = candidates.slice(kept);
  for (const index of dropped) weights[index] = 0;
  for (let i = 0; i < values.length; i++) {
    if (bucketOf(maximum, values[i] as number) > bucket) weights[i] = 0;
  }
}

/** The first bucket at which the running total reaches `goal`, or the last one with anything in it; `before` is the total ahead of it. */
function findCut(goal: number): { readonly bucket: number; readonly before: number } {
  let before = 0;
  let last = { bucket: 0, before: 0 };
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const here = bucketTotals[bucket] as number;
    if (here === 0) continue;
    last = { bucket, before };
    if (before + here >= goal) break;
    before += here;
  }
  return last;
}

/** Indices of one bucket's values, by falling value, ties by rising index. */
function sortBucket(values: Float32Array, maximum: number, bucket: number): number[] {
  const indices: number[] = [];
  for (let i = 0; i < values.length; i++) {
    if (bucketOf(maximum, values[i] as number) === bucket) indices.push(i);
  }
  return indices.sort((a, b) => (values[b] as number) - (values[a] as number) || a - b);
}
