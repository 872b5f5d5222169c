import type { SignalFrame } from "@tandem/proto/gen/tandem/v1/SignalFrame.js";
import type { EncodedFrame } from "../scheduler/engine-step.js";

export interface FrameGroup {
  readonly frames: readonly SignalFrame[];
  readonly sizeBytes: number;
}

/** Room for the fields of an answer beside its frames. */
export const ANSWER_OVERHEAD_BYTES = 128;

/** Groups frames, in order, so that a group stays within `limitBytes` unless a single frame does not. At least one group, if need be empty. */
export function packFrames(
  frames: readonly EncodedFrame[],
  limitBytes: number,
): readonly FrameGroup[] {
  const groups: { frames: SignalFrame[]; sizeBytes: number }[] = [{ frames: [], sizeBytes: 0 }];
  for (const { message, sizeBytes } of frames) {
    let group = groups.at(-1) as (typeof groups)[number];
    if (group.frames.length > 0 && group.sizeBytes + sizeBytes > limitBytes) {
      group = { frames: [], sizeBytes: 0 };
      groups.push(group);
    }
    group.frames.push(message);
    group.sizeBytes += sizeBytes;
  }
  return groups;
}
