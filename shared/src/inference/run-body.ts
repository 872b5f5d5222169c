import { isProjection } from "../wire/state-number.js";
import type { BodyOutput, BodySession } from "./body-session.js";
import { collate, cutIntoPieces, groupPieces, type Piece } from "./collate.js";
import type { KvArena } from "./kv-arena.js";
import type { OpenRow } from "./open-row.js";

/** Runs all tokens of all rows through the transformer, in as few runs as slot lengths and widths allow; writes the KV slots and
 * keeps the hidden states that laws are wanted behind. A row whose states are not finite is marked failed, and nothing of it is
 * written: NaN in a slot would reach every later occupant (0 · NaN in attention). */
export async function runBody(
  session: BodySession,
  arena: KvArena,
  rows: readonly OpenRow[],
  heads: number,
): Promise<void> {
  const byCache = new Map(rows.map((open) => [open.row.cache, open]));
  const pieces = rows.map(({ row: { cache, past, tokens } }) => {
    const { slotLength } = arena.bucketOf(cache);
    return cutIntoPieces({ cache, slotLength, start: past, tokens }, heads);
  });
  const waves = Math.max(0, ...pieces.map((list) => list.length));
  for (let wave = 0; wave < waves; wave++) {
    const current = pieces.flatMap((list) => list.slice(wave, wave + 1));
    for (const group of groupPieces(current, heads)) {
      await runGroup(session, arena, { group, byCache });
    }
  }
}

async function runGroup(
  session: BodySession,
  arena: KvArena,
  { group, byCache }: { group: readonly Piece[]; byCache: ReadonlyMap<number, OpenRow> },
): Promise<void> {
  const bucket = arena.bucketOf(group[0]!.cache);
  const { first, caches } = bucket.gather(group.map(({ cache }) => cache));
  const pieces = caches.map((cache) => group.find((piece) => piece.cache === cache)!);
  const batch = collate(pieces);
  const rows = pieces.map(({ cache }) => byCache.get(cache)!);
  const hiddenRows = pieces.flatMap((piece, i) => hiddenRowsOf(rows[i]!, piece, batch.offsets[i]!));
  const output = await session.run(batch, {
    bucket,
    firstSlot: first,
    hiddenRows,
    states: new Set(rows.flatMap(({ states }) => [...states.keys()])),
  });
  let atHidden = 0;
  pieces.forEach((piece, i) => {
    const row = rows[i]!;
    const offset = batch.offsets[i]!;
    const D = output.hidden.length / batch.ids.length;
    row.failed ||= !isFiniteRange(output.hidden, offset * D, piece.tokens.length * D);
    if (!row.failed) {
      writeSlot(arena, output, { piece, slot: first + i, offset });
    }
    atHidden += keepStates(row, piece, { output, offset, atHidden });
  });
}

function writeSlot(
  arena: KvArena,
  output: BodyOutput,
  { piece, slot, offset }: { piece: Piece; slot: number; offset: number },
): void {
  const { cache, start, tokens } = piece;
  const bucket = arena.bucketOf(cache);
  for (let layer = 0; layer < output.layers; layer++) {
    const source = { keys: output.keys(layer), values: output.values(layer), row: offset };
    bucket.write(layer, { slot, start, count: tokens.length }, source);
  }
  arena.setLength(cache, start + tokens.length);
}

function keepStates(
  row: OpenRow,
  piece: Piece,
  { output, offset, atHidden }: { output: BodyOutput; offset: number; atHidden: number },
): number {
  const begin = piece.start - row.row.past;
  const { token, law, rows } = row.lawsWithin(begin, piece.tokens.length);
  if (row.request === undefined || rows === 0) return 0;
  row.keep(row.request.hidden, output.hidden, { law, at: offset + token - begin, rows });
  for (const [number, target] of row.states) {
    const at = isProjection(number) ? offset + token - begin : atHidden;
    row.keep(target, output.state(number), { law, at, rows });
  }
  return row.states.size > 0 ? rows : 0;
}

/** Packed indices whose hidden states are wanted. */
function hiddenRowsOf(row: OpenRow, piece: Piece, offset: number): number[] {
  if (row.states.size === 0) return [];
  const begin = piece.start - row.row.past;
  const { token, rows } = row.lawsWithin(begin, piece.tokens.length);
  return Array.from({ length: rows }, (_, i) => offset + token - begin + i);
}

/** 0·x is NaN for what is not finite, and NaN survives the sum. */
function isFiniteRange(values: Float32Array, begin: number, length: number): boolean {
  let sum = 0;
  for (let i = begin; i < begin + length; i++) sum += values[i]! * 0;
  return sum === 0;
}
