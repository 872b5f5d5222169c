import { uniformAt } from "../numeric/philox.js";
import { collate, type Piece } from "./collate.js";
import type { HeadRandom } from "./step.js";
import type { SamplingParams } from "../sampling/sampling-params.js";

/** A row that writes. */
export interface WritingPiece extends Piece {
  /** Tokens to draw, at least one. */
  readonly draws: number;
  /** Positions that the row may ever hold. */
  readonly maxLength: number;
  readonly sampling: SamplingParams;
  readonly random: HeadRandom;
}

/** What one run of the writer is fed: see `buildWriterLoop`. T rounds, R rows, M packed tokens. */
export interface WriterBatch {
  readonly rounds: number;
  readonly rows: number;
  /** i64 [N] of round 0. */
  readonly ids: BigInt64Array;
  /** [M]. */
  readonly positions: Uint32Array;
  readonly begins: readonly number[];
  readonly widths: readonly number[];
  readonly pack: readonly number[];
  readonly starts: readonly number[];
  readonly offsets: readonly number[];
  readonly ends: readonly number[];
  readonly rowOf: readonly number[];
  readonly uniforms: Float64Array;
  readonly temperatures: Float32Array;
  readonly greedy: Uint8Array;
}

/** As `collate`: two query positions at least, two packed tokens at least, so that bits depend on nothing around. */
const MIN_WIDTH = 2;

/** Lays out the rounds of rows in neighbouring slots. A row that wants fewer tokens than the others writes on for nobody, over positions of the
 * run's own copy of its slot. */
export function collateRounds(pieces: readonly WritingPiece[]): WriterBatch {
  const first = collate(pieces);
  const rows = pieces.length;
  const rounds = Math.max(...pieces.map(({ draws }) => draws));
  const later = Math.max(2, rows);
  const rowOf = Array.from({ length: later }, (_, n) => Math.min(n, rows - 1));
  const batch = {
    begins: [0, first.ids.length],
    widths: [first.width],
    pack: Array.from(first.pack, Number),
    starts: Array.from(first.starts, Number),
    offsets: [...first.offsets],
    ends: pieces.map(({ tokens }, row) => first.offsets[row]! + tokens.length - 1),
  };
  const positions = [...first.positions];
  for (let round = 1; round < rounds; round++) {
    const starts = pieces.map((piece) => startOf(piece, round));
    batch.begins.push(batch.begins[round]! + later);
    batch.widths.push(MIN_WIDTH);
    batch.starts.push(...starts);
    for (let row = 0; row < rows; row++) {
      batch.offsets.push(row);
      batch.ends.push(row);
    }
    for (const row of rowOf) {
      positions.push(starts[row]!);
      batch.pack.push(row * MIN_WIDTH);
    }
  }
  return {
    ...batch,
    rounds,
    rows,
    ids: first.ids,
    positions: Uint32Array.from(positions),
    rowOf,
    uniforms: drawUniforms(pieces, rounds),
    temperatures: Float32Array.from(pieces, ({ sampling }) => sampling.temperature || 1),
    greedy: Uint8Array.from(pieces, ({ sampling }) => Number(sampling.temperature === 0)),
  };
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
