import { chunkMemory, CHUNK_ENTRIES } from "./kernels.js";
import { GAP_GROUP } from "./layout.js";

/** What the kernels code at once: as many whole lists as fit, or a piece of one that does not. */
export interface ListChunk {
  /** The first list, and how many. */
  readonly row: number;
  readonly rows: number;
  /** Entries [start, end). */
  readonly start: number;
  readonly end: number;
  /** Where in its list the first entry stands: 0 but in pieces, whose multiple of GAP_GROUP it is. */
  readonly place: number;
}

export function firstChunk(offsets: Uint32Array): ListChunk | undefined {
  return chunkFrom(offsets, 0, 0);
}

export function chunkAfter(
  { row, rows, end }: ListChunk,
  offsets: Uint32Array,
): ListChunk | undefined {
  return chunkFrom(offsets, end === offsets[row + rows] ? row + rows : row, end);
}

function chunkFrom(offsets: Uint32Array, row: number, start: number): ListChunk | undefined {
  if (row + 1 >= offsets.length) return undefined;
  const place = start - (offsets[row] as number);
  const limit = start + CHUNK_ENTRIES;
  let next = row;
  if (place === 0) while ((offsets[next + 1] as number) <= limit) next++;
  if (next > row) return { row, rows: next - row, start, end: offsets[next] as number, place };
  return { row, rows: 1, start, end: Math.min(limit, offsets[row + 1] as number), place };
}

export interface ListHeads {
  /** u32 [n+1]: where each row's list begins. */
  readonly offsets: Uint32Array;
  /** f32 [n]: the first logit of each row. */
  readonly maxima: Float32Array;
}

/** Copies what the kernels need to know of a chunk's lists into their memory. */
export function placeHeads({ offsets, maxima }: ListHeads, chunk: ListChunk): void {
  const { row, rows, start, end } = chunk;
  chunkMemory.offsets.set(part(offsets, row, row + rows + 1));
  chunkMemory.offsets[0] = start;
  chunkMemory.offsets[rows] = end;
  chunkMemory.maxima.set(part(maxima, row, row + rows));
}

/** Copies the widths of its groups, too; whole lists begin with the first. */
export function placeWidths(widths: Uint8Array, { place }: ListChunk): void {
  const first = place / GAP_GROUP;
  const end = Math.min(widths.length, first + chunkMemory.widths.length);
  chunkMemory.widths.set(part(widths, first, end));
}

/** Elements [start, end); without a view if that is all of them, as it is in small frames, where views would take most of the time. */
export function part<A extends Uint8Array | Uint32Array | Float32Array>(
  values: A,
  start: number,
  end: number,
): A {
  return end - start === values.length ? values : (values.subarray(start, end) as A);
}
