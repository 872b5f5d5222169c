import type { AcceptanceRule } from "@tandem/shared/sampling/acceptance.js";
import type { SamplingParams } from "@tandem/shared/sampling/sampling-params.js";
import type { Priority } from "../scheduler/job.js";
import type { ValidSignal } from "./valid-signal.js";

/** An Open that has passed every check. */
export interface ValidOpen {
  readonly sequence: number;
  readonly rngKey: number;
  readonly runSeed: number;
  /** u32 [P], P ≥ 1. */
  readonly prompt: Uint32Array;
  /** u32: already kept. */
  readonly response: Uint32Array;
  readonly maxResponse: number;
  readonly stopIds: ReadonlySet<number>;
  readonly rule: AcceptanceRule;
  readonly sampling: SamplingParams;
  readonly signal: ValidSignal;
  readonly priority: Priority;
}

/** A Draft that has passed every check that needs no session. */
export interface ValidDraft {
  readonly sequence: number;
  readonly start: number;
  readonly replacementsSeen: number;
  /** u32 [g], g ≥ 1. */
  readonly tokens: Uint32Array;
  /** f32 [g,J]. */
  readonly taus?: Float32Array;
  /** u32 [g+1] and the ids. */
  readonly atOffsets?: Uint32Array;
  readonly atIds?: Uint32Array;
  readonly timeoutMs: number;
}
