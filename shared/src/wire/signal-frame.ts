import type { SignalFrame, SignalFrame__Output } from "@tandem/proto/gen/tandem/v1/SignalFrame.js";
import { TandemError } from "../errors/tandem-error.js";
import { chunkSignal } from "./chunk-signal.js";
import { decodeCompact } from "./compact/decode-compact.js";
import { encodeCompact } from "./compact/encode-compact.js";
import { fromPlainSignal, toPlainSignal } from "./plain-signal.js";
import type { TeacherSignal } from "./teacher-signal.js";

export const DEFAULT_MAX_LOGIT_ERROR = 0.01;

export interface FrameOptions {
  readonly encoding: "PLAIN" | "COMPACT";
  /** V. */
  readonly vocabSize: number;
  /** COMPACT: largest absolute error of topLogits and atLogits, in nats; 0 = exact. */
  readonly maxLogitError: number;
  /** How `dense` travels; "none" where there is none. */
  readonly denseType: "none" | "f16" | "f32";
  /** Frames stay below this, unless one row alone is larger. */
  readonly maxFrameBytes: number;
}

/** A signal as the contract's frames, in the order of rows. At least one frame. */
export function toSignalFrames(signal: TeacherSignal, options: FrameOptions): SignalFrame[] {
  const denseType = options.denseType === "f16" ? "f16" : "f32";
  return chunkSignal(signal, options.maxFrameBytes).map((chunk) => {
    const { from, count } = chunk;
    return options.encoding === "COMPACT"
      ? { from, count, compact: { frame: encodeCompact(chunk, { ...options, denseType }) } }
      : { from, count, plain: toPlainSignal(chunk, denseType) };
  });
}

/** The signal of one frame of a teacher whose vocabulary has `vocabSize` ids.
 * @throws TandemError DATA_LOSS or INVALID_ARGUMENT when it is malformed or speaks of another vocabulary. */
export function fromSignalFrame(frame: SignalFrame__Output, vocabSize: number): TeacherSignal {
  const { from, count, plain, compact } = frame;
  if (plain !== null && plain !== undefined) {
    return fromPlainSignal(plain, { from, count, vocabSize });
  }
  if (compact === null || compact === undefined) {
    throw new TandemError("DATA_LOSS", `signal frame from position ${from} has no body`);
  }
  const { signal, vocabSize: named } = decodeCompact(compact.frame);
  if (signal.from !== from || signal.count !== count || named !== vocabSize) {
    throw new TandemError(
      "DATA_LOSS",
      `compact frame of rows ${signal.from}+${signal.count} over ${named} ids lies in a message that says ${from}+${count} over ${vocabSize}`,
    );
  }
  return signal;
}
