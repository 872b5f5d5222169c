import type { Clock } from "@tandem/shared/telemetry/clock.js";
import type { Logger } from "@tandem/shared/telemetry/logger.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { StreamAdmission } from "../admission/stream-admission.js";
import type { ServerLimits } from "../admission/server-limits.js";
import type { Budget } from "../auth/budget.js";
import type { ClientIdentity } from "../auth/identity.js";
import type { StepLoop } from "../engine/step-loop.js";
import type { JobUsage, Owner } from "../scheduler/job.js";
import type { KvPool } from "../sessions/kv-pool.js";
import type { SignalStore } from "../store/signal-store.js";
import type { TeacherIdentity } from "../store/signal-key.js";

export type Method = "Describe" | "Score" | "Interleave" | "Generate";

/** Where calls report what happens to items; counters, nothing more. */
export interface CallObserver {
  readonly onItem: (method: Method, code: "OK" | TandemError["code"], usage?: JobUsage) => void;
  readonly onDraft: (outcome: {
    readonly offered: number;
    readonly accepted: number;
    readonly replaced: boolean;
    readonly replay: boolean;
  }) => void;
  readonly onStale: () => void;
  readonly onPositions: (
    kind: "prefill" | "reopened" | "verify" | "replay" | "score" | "generate",
    count: number,
  ) => void;
  readonly onSessions: (change: 1 | -1) => void;
}

/** What every call needs of the server. */
export interface CallContext {
  readonly limits: ServerLimits;
  readonly loop: StepLoop;
  readonly pool: KvPool;
  /** What answers depend on beside the request. */
  readonly teacher: TeacherIdentity;
  /** Finished signals; absent when none is configured. */
  readonly store: SignalStore | undefined;
  /** Room for what a stream asks. */
  readonly admission: StreamAdmission;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: CallObserver;
  /** Numbers of KV caches, never used twice. */
  readonly nextCache: () => number;
  /** Whether new work is taken: throws UNAVAILABLE while loading or draining. */
  readonly assertAccepting: () => void;
  readonly sessionLeaseMs: number;
}

/** What a call knows of its stream. */
export interface CallStream<M> {
  /** Names the stream in the scheduler. */
  readonly client: number;
  /** Whom fairness is between. */
  readonly owner: Owner;
  /** Whose call it is. */
  readonly identity: ClientIdentity;
  /** What that client may still use. */
  readonly budget: Budget;
  /** The gRPC deadline on the clock's scale; Infinity without one. */
  readonly deadlineMs: number;
  /** Whether the client leaves unread what it was sent. */
  readonly isCongested: () => boolean;
  /** `sizeBytes`: of its arrays, about. */
  readonly send: (message: M, sizeBytes: number) => void;
  /** Everything asked for on a half-closed stream has been answered. */
  readonly end: () => void;
  /** Ends the stream with a status. */
  readonly fail: (error: TandemError) => void;
}

/** What the gRPC layer and the server need of any call. */
export interface LiveCall {
  /** The stream is gone: nothing of it is computed any more. */
  readonly close: () => void;
  /** The server shuts down: nothing new is taken, and the stream ends with UNAVAILABLE when what was asked is answered. */
  readonly drain: () => void;
  /** Ends the leases of sessions that nobody has spoken to. */
  readonly expireLeases: () => void;
  /** The client reads again what it is sent. */
  readonly resume?: () => void;
}

export function drainingError(): TandemError {
  return new TandemError(
    "UNAVAILABLE",
    "the server is shutting down; go on with another replica, or here when it is back",
    { retryDelayMs: 1000 },
  );
}

/** When an item stops being worth computing. */
export function itemDeadline(now: number, timeoutMs: number, callDeadlineMs: number): number {
  return Math.min(callDeadlineMs, timeoutMs === 0 ? Infinity : now + timeoutMs);
}
