/** The top lists of n rows. */
export interface TopLists {
  /** k; without offsets, the length of every list. */
  readonly topK: number;
  /** u32 [n+1]: row r's list is [offsets[r], offsets[r+1]), of 1 to k entries. Undefined: every list has k. */
  readonly offsets: Uint32Array | undefined;
  /** One row after the other, by falling logit. */
  readonly ids: Uint32Array | undefined;
  readonly logits: Float32Array;
}

/** Where each of n lists begins, and the end: u32 [n+1]. */
export function listOffsets(rows: number, topK: number): Uint32Array {
  const offsets = new Uint32Array(rows + 1);
  for (let row = 1; row <= rows; row++) offsets[row] = row * topK;
  return offsets;
}
