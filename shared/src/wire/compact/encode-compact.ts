import { TandemError } from "../../errors/tandem-error.js";
import { f32ArrayToF16 } from "../../numeric/float16.js";
import { assertSignalShape } from "../signal-parts.js";
import type { TeacherSignal } from "../teacher-signal.js";
import { writeAtLogits } from "./at-codec.js";
import { checksum } from "./checksum.js";
import { writeDense } from "./dense-codec.js";
import { writeDraws } from "./draw-codec.js";
import { FrameWriter } from "./frame-writer.js";
import {
  FURTHER_PARTS,
  MAGIC,
  MAX_ID_BITS,
  MAX_FRAME_BYTES,
  PART_BITS,
  VERSION,
} from "./layout.js";
import { writeTokenLogits } from "./token-codec.js";
import { writeTop } from "./write-top.js";

export interface CompactOptions {
  /** V: every id is below it. */
  readonly vocabSize: number;
  /** Largest absolute error of topLogits and atLogits, in nats; 0 = exact. */
  readonly maxLogitError: number;
  /** How `dense` travels. */
  readonly denseType: "f16" | "f32";
}

/** The array by whose presence a part is known. */
const KEY_OF_PART = {
  top: "topLogits",
  lse: "lse",
  logTail: "logTail",
  taus: "taus",
  lseAt: "lseAt",
  logTailAt: "logTailAt",
  rank: "rank",
  tokenLogit: "tokenLogit",
  at: "atOffsets",
  meanLogit: "meanLogit",
  maxLogit: "maxLogit",
  entropy: "entropy",
  draws: "drawOffsets",
  dense: "dense",
  hidden: "hidden",
  drawWeights: "drawWeights",
  logProbs: "logProbs",
} as const satisfies Partial<Record<keyof typeof PART_BITS, keyof TeacherSignal>>;

/** One writer for all frames of the process: its buffer keeps the size that the largest frame needed. */
const writer = new FrameWriter();

/** One COMPACT frame (docs/wire-format.md) with the parts that the signal has.
 * @throws TandemError INTERNAL when a part has the wrong length or an id is out of range, RESOURCE_EXHAUSTED above 128 MiB. */
export function encodeCompact(signal: TeacherSignal, options: CompactOptions): Buffer {
  assertSignalShape(signal);
  if (options.vocabSize >= 2 ** MAX_ID_BITS) {
    throw new TandemError(
      "INTERNAL",
      `a compact frame holds ids below 2^${MAX_ID_BITS}; the vocabulary has ${options.vocabSize}`,
    );
  }
  if (signal.dense !== undefined && signal.dense.length !== signal.count * options.vocabSize) {
    throw new TandemError(
      "INTERNAL",
      `dense has ${signal.dense.length} elements for ${signal.count} rows of ${options.vocabSize}`,
    );
  }
  writer.length = 0;
  writeHeader(signal, options.vocabSize);
  const { topK, topOffsets, topIds, topLogits } = signal;
  if (topLogits !== undefined) {
    writeTop(writer, { topK, offsets: topOffsets, ids: topIds, logits: topLogits }, options);
  }
  writeLaws(signal, options);
  writeRagged(signal, options);
  if (writer.length > MAX_FRAME_BYTES) {
    throw new TandemError(
      "RESOURCE_EXHAUSTED",
      `a compact frame of ${writer.length} bytes exceeds ${MAX_FRAME_BYTES}; send fewer rows per frame`,
      { limit: MAX_FRAME_BYTES },
    );
  }
  writer.u32(checksum(writer.bytes, writer.length));
  return writer.finish();
}

function writeHeader(signal: TeacherSignal, vocabSize: number): void {
  for (const byte of MAGIC) writer.u8(byte);
  writer.u8(VERSION);
  const parts = partsOf(signal);
  const further = parts >>> 16;
  writer.u16((parts & (FURTHER_PARTS - 1)) | (further === 0 ? 0 : FURTHER_PARTS));
  writer.varint(signal.from);
  writer.varint(signal.count);
  writer.varint(signal.topLogits === undefined ? 0 : signal.topK);
  writer.varint(signal.taus === undefined ? 0 : signal.tauCount);
  writer.varint(vocabSize);
  if (further !== 0) writer.varint(further);
}

const PART_NAMES = Object.keys(KEY_OF_PART) as (keyof typeof KEY_OF_PART)[];

function partsOf(signal: TeacherSignal): number {
  let bits = 0;
  for (const name of PART_NAMES)
    if (signal[KEY_OF_PART[name]] !== undefined) bits |= PART_BITS[name];
  const withoutIds = signal.topLogits !== undefined && signal.topIds === undefined;
  return withoutIds ? bits | PART_BITS.withoutIds : bits;
}

function writeLaws(signal: TeacherSignal, { maxLogitError }: CompactOptions): void {
  const { lse, logTail, taus, lseAt, logTailAt, tokenLogit, rank } = signal;
  if (lse !== undefined) writer.array(lse);
  if (logTail !== undefined) writer.array(logTail);
  if (taus !== undefined) writeTaus(taus, signal.tauCount, lseAt !== undefined);
  if (lseAt !== undefined) writer.array(lseAt);
  if (logTailAt !== undefined) writer.array(logTailAt);
  if (rank !== undefined) writer.varints(rank);
  if (tokenLogit !== undefined) {
    writeTokenLogits(writer, signal as typeof signal & { tokenLogit: Float32Array }, maxLogitError);
  }
}

/** Temperatures that are the same in every row are written once, if lseAt follows: its size vouches for the array a reader makes. */
function writeTaus(taus: Float32Array, tauCount: number, lseFollows: boolean): void {
  const shared =
    lseFollows && taus.length > 0 && taus.every((tau, i) => Object.is(tau, taus[i % tauCount]));
  writer.u8(shared ? 1 : 0);
  writer.array(shared ? taus.subarray(0, tauCount) : taus);
}

function writeRagged(signal: TeacherSignal, options: CompactOptions): void {
  const { atOffsets, atLogits, meanLogit, maxLogit, entropy } = signal;
  const { drawOffsets, drawIds, drawCounts, dense, hidden } = signal;
  if (atOffsets !== undefined && atLogits !== undefined) {
    writeAtLogits(writer, { offsets: atOffsets, logits: atLogits }, options.maxLogitError);
  }
  if (meanLogit !== undefined) writer.array(meanLogit);
  if (maxLogit !== undefined) writer.array(maxLogit);
  if (entropy !== undefined) writer.array(entropy);
  if (drawOffsets !== undefined && drawIds !== undefined && drawCounts !== undefined) {
    writeDraws(writer, { offsets: drawOffsets, ids: drawIds, counts: drawCounts });
  }
  if (dense !== undefined) writeDense(writer, dense, options);
  if (hidden !== undefined) {
    writer.varint(hidden.size);
    for (const [layer, values] of hidden) {
      writer.varint(layer);
      writer.varint(signal.count === 0 ? 0 : values.length / signal.count);
      writer.array(f32ArrayToF16(values));
    }
  }
  if (signal.drawWeights !== undefined) writer.array(signal.drawWeights);
}
