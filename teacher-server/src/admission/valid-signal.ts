import type { SignalSpec } from "@tandem/shared/wire/teacher-signal.js";
import type { SignalEncoding } from "../scheduler/engine-step.js";

/** A signal spec within the server's limits, and how its frames are to travel. */
export interface ValidSignal {
  readonly spec: SignalSpec;
  readonly encoding: SignalEncoding;
}
