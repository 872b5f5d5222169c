import { cutIntoPieces, groupPieces } from "./collate.js";
import type { KvArena } from "./kv-arena.js";
import type { ModelSessions } from "./model-sessions.js";
import { onlySamples } from "./only-samples.js";
import { slotLengthFor } from "./kv-shape.js";
import type { StepRow, StepRowResult } from "./step.js";
import { collateRounds, type WriterBatch, type WritingPiece } from "./writer-batch.js";
import type { WriterOutput } from "./writer-session.js";

/** Can the writer answer this row? It asks for tokens alone, each decided by temperature and nothing else, and all it brings fits into one run. */
export function canWrite(
  { cache, past, tokens, maxLength, head, save }: StepRow,
  heads: number,
): boolean {
  if (head === undefined || save !== undefined || !onlySamples(head)) return false;
  const { temperature, topK, topP } = head.sample!;
  // Logits over a temperature this small may overflow f32.
  const plain = temperature === 0 || (temperature >= 1e-3 && topK === 0 && topP >= 1);
  const piece = { cache, slotLength: slotLengthFor(maxLength), start: past, tokens };
  return plain && cutIntoPieces(piece, heads).length === 1;
}

/** Lets rows write: each draws a token and up to `ahead` more behind it. Their slots then hold all tokens but the last drawn; a row for which the
 * model computed what is not finite fails by itself, and nothing of it is written. */
export async function writeRows(
  sessions: ModelSessions,
  arena: KvArena,
  { rows, heads }: { readonly rows: readonly StepRow[]; readonly heads: number },
): Promise<ReadonlyMap<StepRow, StepRowResult>> {
  const byCache = new Map(rows.map((row) => [row.cache, row]));
  const results = new Map<StepRow, StepRowResult>();
  const pieces = rows.map((row) => toPiece(row, arena));
  for (const group of groupPieces(pieces, heads)) {
    const bucket = arena.bucketOf(group[0]!.cache);
    const { first, caches } = bucket.gather(group.map(({ cache }) => cache));
    const members = caches.map((cache) => group.find((piece) => piece.cache === cache)!);
    const session = await sessions.writer(Math.max(...members.map(({ draws }) => draws)));
    const batch = collateRounds(members, session.rounds);
    const output = await session.run(batch, { bucket, firstSlot: first });
    members.forEach((piece, row) => {
      const drawn = drawnTokens(output, piece.draws, { row, rows: members.length });
      if (drawn !== undefined) writeSlot(arena, { batch, output }, { piece, row });
      results.set(byCache.get(piece.cache)!, toResult(piece, drawn));
    });
  }
  return results;
}

function toPiece({ cache, past, tokens, maxLength, head }: StepRow, arena: KvArena): WritingPiece {
  const { slotLength } = arena.bucketOf(cache);
  return {
    cache,
    slotLength,
    start: past,
    tokens,
    draws: 1 + (head!.ahead ?? 0),
    maxLength,
    sampling: head!.sample!,
    random: head!.random!,
  };
}

/** The row's tokens; undefined when the law behind one of them was not finite. */
function drawnTokens(
  { drawn, mass }: WriterOutput,
  draws: number,
  { row, rows }: { row: number; rows: number },
): Uint32Array | undefined {
  const tokens = new Uint32Array(draws);
  for (let round = 0; round < draws; round++) {
    const total = mass[round * rows + row]!;
    if (!(total > 0 && total < Infinity)) return undefined;
    tokens[round] = Number(drawn[round * rows + row]);
  }
  return tokens;
}

function writeSlot(
  arena: KvArena,
  { batch, output }: { readonly batch: WriterBatch; readonly output: WriterOutput },
  { piece, row }: { readonly piece: WritingPiece; readonly row: number },
): void {
  const { cache, start, tokens, draws } = piece;
  const bucket = arena.bucketOf(cache);
  const count = tokens.length + draws - 1;
  const stretch = { slot: bucket.slotOf(cache), start, count };
  for (let layer = 0; layer < output.layers; layer++) {
    const source = { keys: output.keys(layer), values: output.values(layer) };
    bucket.write(layer, stretch, { ...source, row: batch.begins[row]! });
  }
  arena.setLength(cache, start + count);
}

function toResult({ cache, start }: WritingPiece, drawn: Uint32Array | undefined): StepRowResult {
  if (drawn === undefined) {
    const message = `the model computed values that are not finite behind position ${start}`;
    return { cache, failure: { code: "INTERNAL", message } };
  }
  return { cache, sampled: drawn[0]!, ...(drawn.length > 1 && { ahead: drawn.subarray(1) }) };
}
