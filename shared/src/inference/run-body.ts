import type { ModelConfig } from "../checkpoint/model-config.js";
import type { BodyOutput, BodySession } from "./body-session.js";
import { collate, cutIntoPieces, groupPieces, type BodyBatch, type Piece } from "./collate.js";
import type { KvArena } from "./kv-arena.js";
import type { OpenRow } from "./open-row.js";

/** Runs all tokens of all rows through the transformer, in as few runs as slot lengths and widths allow, and keeps the hidden
 * states that laws are wanted behind. A row whose states are not finite is marked failed and its cache emptied. */
export async function runBody(
  session: BodySession,
  arena: KvArena,
  rows: readonly OpenRow[],
  { heads, hiddenSize }: ModelConfig,
): Promise<void> {
  const byCache = new Map(rows.map((open) => [open.row.cache, open]));
  const pieces = rows.map(({ row }) => {
    const slotLength = arena.bucketOf(row.cache).slotLength;
    return cutIntoPieces(
      { cache: row.cache, slotLength, start: row.past, tokens: row.tokens },
      heads,
    );
  });
  const waves = Math.max(0, ...pieces.map((list) => list.length));
  for (let wave = 0; wave < waves; wave++) {
    const current = pieces.flatMap((list) => list.slice(wave, wave + 1));
    for (const group of groupPieces(current, heads)) {
      await runGroup(session, arena, { group, byCache, hiddenSize });
    }
  }
}

async function runGroup(
  session: BodySession,
  arena: KvArena,
  {
    group,
    byCache,
    hiddenSize,
  }: { group: readonly Piece[]; byCache: ReadonlyMap<number, OpenRow>; hiddenSize: number },
): Promise<void> {
  const bucket = arena.bucketOf(group[0]!.cache);
  const { first, caches } = bucket.gather(group.map(({ cache }) => cache));
  const ordered = caches.map((cache) => group.find((piece) => piece.cache === cache)!);
  const batch = collate(ordered);
  const open = ordered.map(({ cache }) => byCache.get(cache)!);
  const hiddenRows = ordered.flatMap((piece, i) =>
    hiddenRowsOf(open[i]!, piece, batch.offsets[i]!),
  );
  const output = await session.run(batch, { bucket, firstSlot: first, hiddenRows });
  let atHidden = 0;
  ordered.forEach((piece, i) => {
    const row = open[i]!;
    const offset = batch.offsets[i]!;
    arena.setLength(piece.cache, piece.start + piece.tokens.length);
    if (!isFiniteRange(output.hidden, offset * hiddenSize, piece.tokens.length * hiddenSize)) {
      row.failed = true;
    }
    atHidden += keepStates(row, piece, { output, batch, offset, atHidden });
    if (row.failed) arena.wipe(piece.cache);
  });
}

function keepStates(
  row: OpenRow,
  piece: Piece,
  {
    output,
    offset,
    atHidden,
  }: { output: BodyOutput; batch: BodyBatch; offset: number; atHidden: number },
): number {
  const begin = piece.start - row.row.past;
  const { token, law, rows } = row.lawsWithin(begin, piece.tokens.length);
  if (row.request === undefined || rows === 0) return 0;
  row.keep(row.request.hidden, output.hidden, { law, at: offset + token - begin, rows });
  for (const [layer, target] of row.layers)
    row.keep(target, output.layer(layer), { law, at: atHidden, rows });
  return row.layers.size > 0 ? rows : 0;
}

/** Packed indices whose residual stream is wanted. */
function hiddenRowsOf(row: OpenRow, piece: Piece, offset: number): number[] {
  if (row.layers.size === 0) return [];
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
