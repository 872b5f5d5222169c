/** Step rows → packed arrays of body runs. Pure. */

/** Tokens of one row that enter a run: positions start … start+tokens.length−1 of its slot. */
export interface Piece {
  readonly cache: number;
  readonly slotLength: number;
  readonly start: number;
  readonly tokens: Uint32Array;
}

/** What one body run is fed. N packed tokens of R rows, row after row; L query positions per row. */
export interface BodyBatch {
  readonly rows: number;
  readonly width: number;
  readonly slotLength: number;
  /** i64 [N]. */
  readonly ids: BigInt64Array;
  /** [N], to compute angles from. */
  readonly positions: Uint32Array;
  /** i64 [R,L]: packed index behind each padded place. */
  readonly unpack: BigInt64Array;
  /** i64 [N]: padded place of each packed token. */
  readonly pack: BigInt64Array;
  /** i64 [R]. */
  readonly starts: BigInt64Array;
  /** [R]: packed index of each row's first token. */
  readonly offsets: readonly number[];
}

/** Attention with a single new position per row rounds differently from the same position in a longer chunk, and matrices with
 * one row differ from those with more when weights are fed. With two or more of each, bits depend on nothing around (tried). */
export const MIN_WIDTH = 2;

/** A row is padded to at most this multiple of its own tokens (or up to 16), else it runs apart. */
const MAX_PADDING = 4;
const FREE_WIDTH = 16;

/** Bytes of attention scores [R,H,L,S] that one run may hold. */
const SCORE_BYTES = 256 << 20;
/** Shorter chunks would cost more than they save, however long the slot is. */
const LEAST_CHUNK = 64;

/** Bytes of attention scores that one run holds at most, with slots of so many positions. */
export function mostScoreBytes(heads: number, slotLength: number): number {
  return Math.max(SCORE_BYTES, 4 * heads * LEAST_CHUNK * slotLength);
}

/** Cuts a row into chunks so that the attention scores of one alone stay under the budget; results do not depend on the cuts. */
export function cutIntoPieces(row: Piece, heads: number): Piece[] {
  const chunk = Math.max(LEAST_CHUNK, Math.floor(SCORE_BYTES / (4 * heads * row.slotLength)));
  const pieces: Piece[] = [];
  for (let begin = 0; begin < row.tokens.length; begin += chunk) {
    pieces.push({
      ...row,
      start: row.start + begin,
      tokens: row.tokens.subarray(begin, begin + chunk),
    });
  }
  return pieces;
}

/** Which pieces run together: same slot length, similar numbers of tokens, room for the padding. At most one piece per cache may be given. */
export function groupPieces<P extends Piece>(pieces: readonly P[], heads: number): P[][] {
  // Longest first, so that a group's first piece gives its width.
  const sorted = [...pieces].sort(
    (a, b) => a.slotLength - b.slotLength || b.tokens.length - a.tokens.length,
  );
  const groups: P[][] = [];
  for (const piece of sorted) {
    const group = groups.find((candidate) => fits(candidate, piece, heads));
    if (group === undefined) groups.push([piece]);
    else group.push(piece);
  }
  return groups;
}

function fits(group: readonly Piece[], piece: Piece, heads: number): boolean {
  const first = group[0]!;
  const width = Math.max(MIN_WIDTH, first.tokens.length);
  return (
    first.slotLength === piece.slotLength &&
    piece.start + width <= piece.slotLength &&
    width <= Math.max(FREE_WIDTH, MAX_PADDING * piece.tokens.length) &&
    4 * (group.length + 1) * heads * width * piece.slotLength <= SCORE_BYTES
  );
}

/** Packs pieces, in the order of their slots. Padding repeats a row's last token: what it writes lies behind the row's tokens and is overwritten later. */
export function collate(pieces: readonly Piece[]): BodyBatch {
  const rows = pieces.length;
  const width = pieces.reduce((most, { tokens }) => Math.max(most, tokens.length), MIN_WIDTH);
  const real = pieces.reduce((sum, { tokens }) => sum + tokens.length, 0);
  // A single token enters twice; both copies come from and go to the same row.
  const count = Math.max(2, real);
  const ids = new BigInt64Array(count);
  const positions = new Uint32Array(count);
  const unpack = new BigInt64Array(rows * width);
  const pack = new BigInt64Array(count);
  const starts = new BigInt64Array(rows);
  const offsets: number[] = [];
  let n = 0;
  pieces.forEach(({ start, tokens }, row) => {
    offsets.push(n);
    starts[row] = BigInt(start);
    for (let i = 0; i < width; i++) {
      unpack[row * width + i] = BigInt(n + Math.min(i, tokens.length - 1));
    }
    for (let i = 0; i < tokens.length; i++, n++) {
      ids[n] = BigInt(tokens[i]!);
      positions[n] = start + i;
      pack[n] = BigInt(row * width + i);
    }
  });
  for (; n < count; n++) {
    ids[n] = ids[n - 1]!;
    positions[n] = positions[n - 1]!;
    pack[n] = pack[n - 1]!;
  }
  return {
    rows,
    width,
    slotLength: pieces[0]!.slotLength,
    ids,
    positions,
    unpack,
    pack,
    starts,
    offsets,
  };
}
