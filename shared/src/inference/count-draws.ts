/** Ids drawn from one law, distinct and ascending, with how often each was drawn. */
export interface DrawnTokens {
  readonly ids: Uint32Array;
  readonly counts: Uint32Array;
  /** Of each id, where it was asked for. */
  readonly weights?: Float32Array;
}

/** weights: of each draw, the same for equal ids. */
export function countDraws(drawn: Int32Array, weights?: Float32Array): DrawnTokens {
  const sorted = drawn.toSorted();
  const ids: number[] = [];
  const counts: number[] = [];
  for (const id of sorted) {
    if (id !== ids.at(-1)) {
      ids.push(id);
      counts.push(0);
    }
    counts[counts.length - 1]! += 1;
  }
  return {
    ids: Uint32Array.from(ids),
    counts: Uint32Array.from(counts),
    ...(weights && { weights: Float32Array.from(ids, (id) => weights[drawn.indexOf(id)]!) }),
  };
}
