import { TandemError } from "../../errors/tandem-error.js";
import { f16ArrayToF32 } from "../../numeric/float16.js";
import type { MutableSignal } from "../signal-parts.js";
import type { TeacherSignal } from "../teacher-signal.js";
import { readAtLogits } from "./at-codec.js";
import { checksum } from "./checksum.js";
import { readDense } from "./dense-codec.js";
import { readDraws } from "./draw-codec.js";
import { damaged, FrameReader } from "./frame-reader.js";
import {
  ALL_PARTS,
  CHECKSUM_BYTES,
  FIXED_HEADER_BYTES,
  FURTHER_PARTS,
  MAGIC,
  MAX_ID_BITS,
  MAX_FRAME_BYTES,
  PART_BITS,
  VERSION,
} from "./layout.js";
import { readTop } from "./read-top.js";
import { readTokenLogits } from "./token-codec.js";

type Shape = { readonly parts: number; readonly vocabSize: number };

export interface DecodedFrame {
  readonly signal: TeacherSignal;
  /** V, as the frame states it; its ids are below. */
  readonly vocabSize: number;
}

/** Reads one COMPACT frame (docs/wire-format.md) into typed arrays. Allocates no more than 32 times the frame's size, whatever it says.
 * @throws TandemError INVALID_ARGUMENT for what is not such a frame or of another version, DATA_LOSS for a damaged one. */
export function decodeCompact(frame: Uint8Array): DecodedFrame {
  const reader = openFrame(frame);
  const named = (reader.bytes[4] as number) | ((reader.bytes[5] as number) << 8);
  reader.position = FIXED_HEADER_BYTES;
  const signal: MutableSignal = {
    from: reader.varint("header"),
    count: reader.varint("header"),
    topK: reader.varint("header"),
    tauCount: reader.varint("header"),
  };
  const vocabSize = reader.varint("header");
  if (vocabSize >= 2 ** MAX_ID_BITS) damaged(`its vocabulary has ${vocabSize} ids`);
  const shape = { parts: readParts(reader, named), vocabSize };
  if (has(shape, "logProbs")) signal.logProbs = true;
  readLists(reader, signal, shape);
  readLaws(reader, signal, shape);
  readMoments(reader, signal, shape);
  readWide(reader, signal, shape);
  if (reader.remaining !== 0) damaged(`${reader.remaining} bytes are left over`);
  return { signal, vocabSize };
}

function openFrame(frame: Uint8Array): FrameReader {
  if (frame.length < FIXED_HEADER_BYTES + CHECKSUM_BYTES) {
    return damaged(`${frame.length} bytes are fewer than a header and a checksum`);
  }
  if (frame.length > MAX_FRAME_BYTES + CHECKSUM_BYTES) {
    return damaged(`${frame.length} bytes are more than ${MAX_FRAME_BYTES}`);
  }
  if (MAGIC.some((byte, i) => frame[i] !== byte)) {
    throw new TandemError("INVALID_ARGUMENT", "not a compact signal frame: it must begin with TSF");
  }
  if (frame[3] !== VERSION) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `compact signal frame has version ${frame[3]}; this program reads version ${VERSION}`,
    );
  }
  const reader = new FrameReader(frame);
  const stored = reader.view.getUint32(reader.end, true);
  const computed = checksum(frame, reader.end);
  if (stored !== computed) {
    damaged(`its checksum is ${stored.toString(16)} and should be ${computed.toString(16)}`);
  }
  return reader;
}

/** The part bits, those named behind the header's included. */
function readParts(reader: FrameReader, named: number): number {
  if ((named & FURTHER_PARTS) === 0) return named;
  const further = reader.varint("header");
  if (further === 0 || further > ALL_PARTS >>> 16) {
    damaged("it names a part that this version does not have");
  }
  return (named & (FURTHER_PARTS - 1)) | (further << 16);
}

function has(shape: Shape, part: keyof typeof PART_BITS): boolean {
  return (shape.parts & PART_BITS[part]) !== 0;
}

function readLists(reader: FrameReader, signal: MutableSignal, shape: Shape): void {
  const { count, topK } = signal;
  if (topK > 0 !== has(shape, "top")) damaged(`k = ${topK} does not fit its parts`);
  const withoutIds = has(shape, "withoutIds");
  if (topK === 0 && withoutIds) damaged("it leaves out ids of lists that it does not have");
  if (topK === 0) return;
  const { vocabSize } = shape;
  const lists = readTop(reader, { rows: count, topK, vocabSize, withoutIds });
  if (lists.offsets !== undefined) signal.topOffsets = lists.offsets;
  if (lists.ids !== undefined) signal.topIds = lists.ids;
  signal.topLogits = lists.logits;
}

function readLaws(reader: FrameReader, signal: MutableSignal, shape: Shape): void {
  const { count, tauCount } = signal;
  if (has(shape, "lse")) signal.lse = reader.f32Array(count, "lse");
  if (has(shape, "logTail")) signal.logTail = reader.f32Array(count, "log tail");
  if (tauCount > 0 !== has(shape, "taus")) damaged(`J = ${tauCount} does not fit its parts`);
  if (has(shape, "taus")) signal.taus = readTaus(reader, count, tauCount);
  if (has(shape, "lseAt")) signal.lseAt = reader.f32Array(count * tauCount, "lse at τ");
  if (has(shape, "logTailAt"))
    signal.logTailAt = reader.f32Array(count * tauCount, "log tail at τ");
  if (has(shape, "rank")) {
    reader.need(count, "rank");
    const rank = new Uint32Array(count);
    for (let row = 0; row < count; row++) rank[row] = reader.varint("rank");
    signal.rank = rank;
  }
  if (has(shape, "tokenLogit")) signal.tokenLogit = readTokenLogits(reader, signal);
}

function readTaus(reader: FrameReader, count: number, tauCount: number): Float32Array {
  const shared = reader.u8("taus");
  if (shared > 1) damaged(`taus have the unknown mode ${shared}`);
  if (shared === 0) return reader.f32Array(count * tauCount, "taus");
  const row = reader.f32Array(tauCount, "taus");
  // lse at τ follows, as large as what is about to be allocated
  reader.need(4 * count * tauCount, "lse at τ");
  const taus = new Float32Array(count * tauCount);
  for (let i = 0; i < taus.length; i += tauCount) taus.set(row, i);
  return taus;
}

function readMoments(reader: FrameReader, signal: MutableSignal, shape: Shape): void {
  const { count } = signal;
  if (has(shape, "at")) {
    const { offsets, logits } = readAtLogits(reader, count);
    signal.atOffsets = offsets;
    signal.atLogits = logits;
  }
  if (has(shape, "meanLogit")) signal.meanLogit = reader.f32Array(count, "mean logit");
  if (has(shape, "maxLogit")) signal.maxLogit = reader.f32Array(count, "max logit");
  if (has(shape, "entropy")) signal.entropy = reader.f32Array(count, "entropy");
}

function readWide(reader: FrameReader, signal: MutableSignal, shape: Shape): void {
  const { count } = signal;
  if (has(shape, "draws")) {
    const { offsets, ids, counts } = readDraws(reader, count, shape.vocabSize);
    signal.drawOffsets = offsets;
    signal.drawIds = ids;
    signal.drawCounts = counts;
  }
  if (has(shape, "drawWeights") && signal.drawIds === undefined) damaged("weights without draws");
  if (has(shape, "dense"))
    signal.dense = readDense(reader, { rows: count, vocabSize: shape.vocabSize });
  if (has(shape, "hidden")) signal.hidden = readHidden(reader, count);
  if (!has(shape, "drawWeights")) return;
  signal.drawWeights = reader.f32Array(signal.drawIds!.length, "draw weights");
}

function readHidden(reader: FrameReader, count: number): ReadonlyMap<number, Float32Array> {
  const layers = reader.varint("hidden");
  const hidden = new Map<number, Float32Array>();
  for (let i = 0; i < layers; i++) {
    const layer = reader.varint("hidden");
    const width = reader.varint("hidden");
    hidden.set(layer, f16ArrayToF32(reader.u16Array(count * width, "hidden")));
  }
  return hidden;
}
