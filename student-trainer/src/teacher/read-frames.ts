import type { SignalFrame__Output } from "@tandem/proto/gen/tandem/v1/SignalFrame.js";
import { concatSignals } from "@tandem/shared/wire/concat-signals.js";
import { fromSignalFrame } from "@tandem/shared/wire/signal-frame.js";
import type { TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";

/** The signal of one answer, in whatever encoding its frames came; undefined when no part was asked for.
 * @throws TandemError DATA_LOSS or INVALID_ARGUMENT when a frame is malformed or rows are missing. */
export function readFrames(
  frames: readonly SignalFrame__Output[],
  vocabSize: number,
): TeacherSignal | undefined {
  if (frames.length === 0) return undefined;
  return concatSignals(frames.map((frame) => fromSignalFrame(frame, vocabSize)));
}
