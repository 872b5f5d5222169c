import type { TeacherSignal } from "../teacher-signal.js";
import { damaged, type FrameReader } from "./frame-reader.js";
import type { FrameWriter } from "./frame-writer.js";
import { gridOf, readGrid, readStep, writeGrid, writeStep } from "./grid-codec.js";
import { TOKENS_ALL, TOKENS_BELOW_BEST, TOKENS_ON_GRID } from "./layout.js";

type Known = Pick<TeacherSignal, "count" | "topK" | "topOffsets" | "topLogits" | "rank">;

interface Tokens extends Known, Pick<TeacherSignal, "logProbs"> {
  readonly tokenLogit: Float32Array;
}

/** Token logits, behind top lists and ranks: a token of rank 0 has the logit that its row's list begins with, which is not sent twice.
 * Log-probabilities are known within the error of all others: nothing is subtracted from them any more. */
export function writeTokenLogits(writer: FrameWriter, known: Tokens, maxLogitError: number): void {
  const logits = known.tokenLogit;
  const grid = known.logProbs ? gridOf(logits, maxLogitError) : undefined;
  if (grid !== undefined) {
    writer.u8(TOKENS_ON_GRID);
    writeStep(writer, grid.step, maxLogitError);
    writeGrid(writer, logits, grid);
    return;
  }
  if (!areFirstWhereBest(logits, known)) {
    writer.u8(TOKENS_ALL);
    writer.array(logits);
    return;
  }
  const rank = known.rank as Uint32Array;
  writer.u8(TOKENS_BELOW_BEST);
  for (let row = 0; row < logits.length; row++) {
    if (rank[row] !== 0) writer.f32(logits[row] as number);
  }
}

function areFirstWhereBest(
  logits: Float32Array,
  { rank, topK, topOffsets, topLogits }: Known,
): boolean {
  if (rank === undefined || topLogits === undefined) return false;
  for (let row = 0; row < logits.length; row++) {
    const first = topLogits[topOffsets?.[row] ?? row * topK];
    if (rank[row] === 0 && !Object.is(logits[row], first)) return false;
  }
  return true;
}

/** f32 [n]. */
export function readTokenLogits(reader: FrameReader, known: Known): Float32Array {
  const part = "token logits";
  const { count, rank, topK, topOffsets, topLogits } = known;
  const kind = reader.u8(part);
  if (kind === TOKENS_ALL) return reader.f32Array(count, part);
  if (kind === TOKENS_ON_GRID) {
    const step = readStep(reader, part);
    reader.need(count / 8, part); // a value has at least one bit
    const logits = new Float32Array(count);
    readGrid(reader, logits, { step, part });
    return logits;
  }
  if (kind !== TOKENS_BELOW_BEST || rank === undefined || topLogits === undefined) {
    return damaged(`${part} have the kind ${kind}`);
  }
  const logits = new Float32Array(count);
  for (let row = 0; row < count; row++) {
    logits[row] =
      rank[row] === 0 ? (topLogits[topOffsets?.[row] ?? row * topK] as number) : reader.f32(part);
  }
  return logits;
}
