import type { StepResult } from "@tandem/shared/inference/step.js";
import { toSignalFrames } from "@tandem/shared/wire/signal-frame.js";
import type { SignalFrame } from "@tandem/proto/gen/tandem/v1/SignalFrame.js";
import type {
  EncodedFrame,
  EngineRow,
  EngineRowResult,
  EngineStep,
  EngineStepResult,
} from "../../scheduler/engine-step.js";
import { frameBytes } from "../../scheduler/frame-bytes.js";

/** A quarter of a message: several frames share one, and one row of a wide dense part still has room. */
const MAX_FRAME_BYTES = 256 << 10;

/** Tags, lengths and the two numbers of a frame, at most. */
const FRAME_OVERHEAD_BYTES = 192;

/** Turns what the model computed into what crosses the process border: signals become frames in the encoding each row asked for. */
export function encodeResult(
  step: EngineStep,
  result: StepResult,
  vocabSize: number,
): EngineStepResult {
  const rows = result.rows.map(
    ({ cache, signal, verdict, sampled, failure }, i): EngineRowResult => {
      const row = step.rows[i] as EngineRow;
      const { encoding = "plain", maxLogitError = 0 } = row.encoding ?? {};
      const frames =
        signal === undefined || signal.count === 0
          ? []
          : toSignalFrames(signal, {
              encoding: encoding === "plain" ? "PLAIN" : "COMPACT",
              vocabSize,
              maxLogitError,
              denseType: row.head?.spec.dense ?? "none",
              maxFrameBytes: MAX_FRAME_BYTES,
            });
      return {
        cache,
        frames: frames.map(withSize),
        ...(verdict && { verdict }),
        ...(sampled !== undefined && { sampled }),
        ...(failure && { failure }),
      };
    },
  );
  const { computeMs, computedPositions, headPositions } = result;
  return { rows, computeMs, computedPositions, headPositions };
}

function withSize(message: SignalFrame): EncodedFrame {
  return { message, sizeBytes: FRAME_OVERHEAD_BYTES + frameBytes(message) };
}
