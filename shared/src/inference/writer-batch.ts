import { uniformAt } from "../numeric/philox.js";
import type { SamplingParams } from "../sampling/sampling-params.js";
import { collate, MIN_WIDTH, type BodyBatch, type Piece } from "./collate.js";
import type { HeadRandom } from "./step.js";

/** A row that writes. */
export interface WritingPiece extends Piece {
  /** Tokens to draw, at least one. */
  readonly draws: number;
  /** Positions that the row may ever hold. */
  readonly maxLength: number;
  readonly sampling: SamplingParams;
  readonly random: HeadRandom;
}

/** What one run of the writer is fed: see `buildWriterGraph`. T rounds, R rows, N packed tokens in round 0 and P in each later one. */
export interface WriterBatch {
  readonly rounds: number;
  readonly rows: number;
  readonly first: BodyBatch;
  /** [R]: each row's last packed token of round 0. */
  readonly latest: BigInt64Array;
  /** P. */
  readonly laterTokens: number;
  /** [T−1,P]. */
  readonly laterPositions: Uint32Array;
  /** [T,R]. */
  readonly starts: BigInt64Array;
  /** [W]: packed tokens whose keys and values are kept, row by row. */
  readonly order: BigInt64Array;
  /** [R]: where a row's tokens begin in `order`. */
  readonly begins: readonly number[];
  /** [T,R]. */
  readonly uniforms: Float64Array;
  /** [R]. */
  readonly temperatures: Float32Array;
  readonly greedy: Uint8Array;
}

/** Lays out `rounds` rounds of rows in neighbouring slots. A row that wants fewer tokens writes on for nobody, over positions of the
 * run's own copy of its slot. */
export function collateRounds(pieces: readonly WritingPiece[], rounds: number): WriterBatch {
  const first = collate(pieces);
  const rows = pieces.length;
  const laterTokens = Math.max(2, rows);
  const laterPositions = new Uint32Array((rounds - 1) * laterTokens);
  const starts = new BigInt64Array(rounds * rows);
  starts.set(first.starts);
  for (let round = 1; round < rounds; round++) {
    const at = (round - 1) * laterTokens;
    for (let row = 0; row < rows; row++) {
      const start = startOf(pieces[row]!, round);
      starts[round * rows + row] = BigInt(start);
      laterPositions[at + row] = start;
    }
    laterPositions.fill(laterPositions[at + rows - 1]!, at + rows, at + laterTokens);
  }
  const kept = pieces.map((piece, row) => keptTokens(piece, { row, first, laterTokens }));
  let end = 0;
  return {
    rounds,
    rows,
    first,
    latest: BigInt64Array.from(pieces, ({ tokens }, row) =>
      BigInt(first.offsets[row]! + tokens.length - 1),
    ),
    laterTokens,
    laterPositions,
    starts,
    order: BigInt64Array.from(kept.flat(), BigInt),
    begins: kept.map(({ length }) => (end += length) - length),
    uniforms: drawUniforms(pieces, rounds),
    temperatures: Float32Array.from(pieces, ({ sampling }) => sampling.temperature || 1),
    greedy: Uint8Array.from(pieces, ({ sampling }) => Number(sampling.temperature === 0)),
  };
}

/** Packed tokens of a row that its slot keeps: all that it brought, and what it drew but for the last. */
function keptTokens(
  { tokens, draws }: WritingPiece,
  {
    row,
    first,
    laterTokens,
  }: { readonly row: number; readonly first: BodyBatch; readonly laterTokens: number },
): readonly number[] {
  const brought = Array.from(tokens, (_, i) => first.offsets[row]! + i);
  const drawn = Array.from(
    { length: draws - 1 },
    (_, round) => first.ids.length + round * laterTokens + row,
  );
  return [...brought, ...drawn];
}

/** Where the token drawn in the round before stands; what is drawn for nobody stays inside the slot and the model's context. */
function startOf({ start, tokens, slotLength, maxLength }: WritingPiece, round: number): number {
  return Math.min(start + tokens.length + round - 1, slotLength - MIN_WIDTH, maxLength - 1);
}

/** f64 [T,R]. */
function drawUniforms(pieces: readonly WritingPiece[], rounds: number): Float64Array {
  const uniforms = new Float64Array(rounds * pieces.length);
  pieces.forEach(({ random, draws }, row) => {
    const { runSeed, rngKey, firstPosition, stream = "replacement" } = random;
    for (let round = 0; round < draws; round++) {
      const position = firstPosition + round;
      uniforms[round * pieces.length + row] = uniformAt({ runSeed, rngKey, position, stream });
    }
  });
  return uniforms;
}
