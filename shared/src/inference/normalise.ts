/** Lists as they leave the head: one entry more than was asked for, where the vocabulary allows. */
export interface HeadLists {
  /** f32 [n,listWidth], falling. */
  readonly topLogits: Float32Array;
  readonly listWidth: number;
  /** u32 [n]: entries of each row that are sent, at most k. */
  readonly listLengths: Uint32Array;
  /** k = V. */
  readonly nothingOutside: boolean;
}

/** How many entries each row keeps: up to the first by which they hold at least `masses[row]` of the law's probability, at most as many as it has; all of them for 1.
 * share: [n], the probability of the list's last entry among all ids but the first listWidth − 1. */
export function keptLengths(
  { topLogits, listWidth, listLengths }: HeadLists,
  share: Float32Array,
  masses: Float64Array,
): Uint32Array {
  return listLengths.map((length, row) => {
    const mass = masses[row]!;
    if (length === 0 || mass >= 1) return length;
    const begin = row * listWidth;
    const end = begin + listWidth - 1;
    const first = topLogits[begin]!;
    let total = Math.exp(topLogits[end]! - Math.log(share[row]!) - first);
    for (let j = begin; j < end; j++) total += Math.exp(topLogits[j]! - first);
    let kept = 1;
    for (let sum = 1; sum < mass * total && kept < length; kept++) {
      sum += Math.exp(topLogits[begin + kept]! - first);
    }
    return kept;
  });
}

/** lse and the part of it outside the kept list (a difference of logarithms, never above 0), in float64, at each of `tauCount` temperatures per row.
 * share: [n,J], the probability of the list's last entry among all ids but the first listWidth − 1. */
export function normalise(
  list: HeadLists,
  share: Float32Array,
  taus: Float32Array,
  tauCount: number,
): { readonly lse: Float32Array; readonly logTail: Float32Array } {
  const { topLogits, listWidth, listLengths } = list;
  const lse = new Float32Array(share.length);
  const logTail = new Float32Array(share.length);
  for (let i = 0; i < share.length; i++) {
    const row = Math.floor(i / tauCount);
    const begin = row * listWidth;
    const end = begin + listWidth - 1;
    const tau = taus[i]!;
    const first = topLogits[begin]! / tau;
    let inner = 0;
    for (let j = begin; j < end; j++) inner += Math.exp(topLogits[j]! / tau - first);
    const rest = topLogits[end]! / tau - Math.log(share[i]!) - first;
    const total = Math.log(inner + Math.exp(rest));
    lse[i] = first + total;
    // what is behind the kept entries, by the largest of them
    const kept = begin + listLengths[row]!;
    const highest = kept < end ? topLogits[kept]! / tau - first : rest;
    let outside = Math.exp(rest - highest);
    for (let j = kept; j < end; j++) outside += Math.exp(topLogits[j]! / tau - first - highest);
    const nothing = highest === -Infinity || (list.nothingOutside && kept > end);
    logTail[i] = nothing ? -Infinity : Math.min(0, highest + Math.log(outside) - total);
  }
  return { lse, logTail };
}
