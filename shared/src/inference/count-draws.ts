/** Ids drawn from one law, distinct and ascending, with how often each was drawn. */
export interface DrawnTokens {
  readonly ids: Uint32Array;
  readonly counts: Uint32Array;
}

export function countDraws(drawn: Int32Array): DrawnTokens {
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
  return { ids: Uint32Array.from(ids), counts: Uint32Array.from(counts) };
}
