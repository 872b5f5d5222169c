import type { PlainSignal, PlainSignal__Output } from "@tandem/proto/gen/tandem/v1/PlainSignal.js";
import { TandemError } from "../errors/tandem-error.js";
import { f16ArrayToF32, f32ArrayToF16 } from "../numeric/float16.js";
import { bytesOf, readF32, readU16, readU32 } from "./little-endian.js";
import { areBelow } from "./are-below.js";
import {
  areListOffsets,
  areOffsets,
  assertSignalShape,
  listStart,
  type MutableSignal,
  ROW_PARTS,
  rowWidth,
} from "./signal-parts.js";
import type { TeacherSignal } from "./teacher-signal.js";

const RAGGED_KEYS = [
  "topOffsets",
  "topIds",
  "topLogits",
  "atOffsets",
  "atLogits",
  "drawOffsets",
  "drawIds",
  "drawCounts",
  "drawWeights",
] as const;

/** A signal as the proto message `PlainSignal`: a `bytes` field per part. The buffers are views of the signal's arrays (f16 parts are
 * converted), so the signal must not change until the message is sent.
 * @throws TandemError INTERNAL when a part has the wrong length. */
export function toPlainSignal(signal: TeacherSignal, denseType: "f16" | "f32"): PlainSignal {
  assertSignalShape(signal);
  const message: PlainSignal = {
    topK: signal.topLogits === undefined ? 0 : signal.topK,
    tauCount: signal.taus === undefined ? 0 : signal.tauCount,
    ...(signal.logProbs && { logProbs: true }),
  };
  for (const { key } of ROW_PARTS) {
    const values = signal[key];
    if (values !== undefined) message[key] = bytesOf(values);
  }
  for (const key of RAGGED_KEYS) {
    const values = signal[key];
    if (values !== undefined) message[key] = bytesOf(values);
  }
  if (signal.dense !== undefined) {
    message.denseType = denseType === "f16" ? "DENSE_TYPE_F16" : "DENSE_TYPE_F32";
    message.dense = bytesOf(denseType === "f16" ? f32ArrayToF16(signal.dense) : signal.dense);
  }
  if (signal.hidden !== undefined) {
    message.hidden = [...signal.hidden].map(([layer, values]) => ({
      layer,
      values: bytesOf(f32ArrayToF16(values)),
    }));
  }
  return message;
}

export interface PlainShape {
  readonly from: number;
  readonly count: number;
  /** V: ids are below it, and dense rows have this many columns. */
  readonly vocabSize: number;
}

/** The signal of a `PlainSignal` message. Empty fields are absent parts.
 * @throws TandemError DATA_LOSS when a field has another length than its comment in the contract says, or an id is ≥ V. */
export function fromPlainSignal(message: PlainSignal__Output, shape: PlainShape): TeacherSignal {
  const { from, count, vocabSize } = shape;
  const { topK, tauCount } = message;
  const signal: MutableSignal = { from, count, topK, tauCount };
  if (message.logProbs) signal.logProbs = true;
  assertPairs(message);
  readLists(message, signal);
  readRowParts(message, signal);
  readRagged(message, signal);
  assertIds("top_ids", signal.topIds, vocabSize);
  assertIds("draw_ids", signal.drawIds, vocabSize);
  if (message.denseType !== "DENSE_TYPE_UNSPECIFIED") {
    signal.dense = readDense(message, count * vocabSize);
  }
  if (message.hidden.length > 0) {
    signal.hidden = new Map(
      message.hidden.map(({ layer, values }) => {
        if (values.length % (2 * Math.max(1, count)) !== 0)
          damaged("hidden", values, "n rows of f16");
        return [layer, f16ArrayToF32(readU16(values, 0, values.length / 2))];
      }),
    );
  }
  return signal;
}

function readLists(message: PlainSignal__Output, signal: MutableSignal): void {
  const { count, topK } = signal;
  if (message.topOffsets.length > 0) {
    const offsets = readU32(exact("topOffsets", message.topOffsets, count + 1), 0, count + 1);
    if (!areListOffsets(offsets, count, topK)) {
      damaged("topOffsets", message.topOffsets, `lists of 1 to ${topK} ids`);
    }
    signal.topOffsets = offsets;
  }
  if (message.topLogits.length === 0) {
    if (topK > 0 && count > 0) damaged("topLogits", message.topLogits, `${topK} logits per row`);
    return;
  }
  const total = listStart(signal, count);
  if (message.topIds.length > 0) {
    signal.topIds = readU32(exact("topIds", message.topIds, total), 0, total);
  }
  signal.topLogits = readF32(exact("topLogits", message.topLogits, total), 0, total);
}

function readRowParts(message: PlainSignal__Output, signal: MutableSignal): void {
  for (const part of ROW_PARTS) {
    const bytes = message[part.key];
    if (bytes.length === 0) continue;
    const size = signal.count * rowWidth(part, signal);
    if (bytes.length !== 4 * size) damaged(part.key, bytes, `${4 * size} bytes`);
    const values = part.element === "u32" ? readU32(bytes, 0, size) : readF32(bytes, 0, size);
    Object.assign(signal, { [part.key]: values });
  }
  if (signal.tauCount > 0 && signal.count > 0 && signal.taus === undefined) {
    damaged("taus", message.taus, `${signal.tauCount} temperatures per row`);
  }
}

/** Parts that say nothing without another one. */
const PAIRS = [
  ["topIds", "topLogits"],
  ["topOffsets", "topLogits"],
  ["atLogits", "atOffsets"],
  ["drawIds", "drawOffsets"],
  ["drawCounts", "drawOffsets"],
  ["drawWeights", "drawOffsets"],
] as const;

function assertPairs(message: PlainSignal__Output): void {
  for (const [part, other] of PAIRS) {
    if (message[part].length > 0 && message[other].length === 0)
      damaged(part, message[part], `${other} beside it`);
  }
}

function readRagged(message: PlainSignal__Output, signal: MutableSignal): void {
  const { count } = signal;
  if (message.atOffsets.length > 0) {
    signal.atOffsets = readOffsets("atOffsets", message.atOffsets, count);
    const total = signal.atOffsets[count] as number;
    signal.atLogits = readF32(exact("atLogits", message.atLogits, total), 0, total);
  }
  if (message.drawOffsets.length > 0) {
    signal.drawOffsets = readOffsets("drawOffsets", message.drawOffsets, count);
    const total = signal.drawOffsets[count] as number;
    signal.drawIds = readU32(exact("drawIds", message.drawIds, total), 0, total);
    signal.drawCounts = readU32(exact("drawCounts", message.drawCounts, total), 0, total);
    if (message.drawWeights.length > 0) {
      signal.drawWeights = readF32(exact("drawWeights", message.drawWeights, total), 0, total);
    }
  }
}

function readOffsets(field: string, bytes: Buffer, count: number): Uint32Array {
  const offsets = readU32(exact(field, bytes, count + 1), 0, count + 1);
  if (!areOffsets(offsets, count)) damaged(field, bytes, "offsets that rise from 0");
  return offsets;
}

function readDense(message: PlainSignal__Output, size: number): Float32Array {
  if (message.denseType === "DENSE_TYPE_F32") {
    return readF32(exact("dense", message.dense, size), 0, size);
  }
  if (message.denseType !== "DENSE_TYPE_F16") damaged("dense", message.dense, "a known dense_type");
  if (message.dense.length !== 2 * size) damaged("dense", message.dense, `${2 * size} bytes`);
  return f16ArrayToF32(readU16(message.dense, 0, size));
}

/** The bytes, if they are `size` 32-bit numbers. */
function exact(field: string, bytes: Buffer, size: number): Buffer {
  return bytes.length === 4 * size ? bytes : damaged(field, bytes, `${4 * size} bytes`);
}

function assertIds(field: string, ids: Uint32Array | undefined, vocabSize: number): void {
  if (ids === undefined || areBelow(ids, vocabSize)) return;
  throw new TandemError("DATA_LOSS", `${field} reach beyond the vocabulary of ${vocabSize}`, {
    field,
  });
}

function damaged(field: string, bytes: Buffer, wanted: string): never {
  throw new TandemError(
    "DATA_LOSS",
    `plain signal field ${field} has ${bytes.length} bytes; it should have ${wanted}`,
    { field },
  );
}
