import type { TandemError } from "@tandem/shared/errors/tandem-error.js";

import type { TeacherSecurity } from "./teacher-security.js";

/** How the student reaches its teacher. Times are milliseconds. */
export interface TeacherOptions extends TeacherSecurity {
  /** Replicas of one teacher, each `host:port`, `unix:PATH` or `dns:///host:port` for all addresses of a name. Work is shared out among those
   * that serve. */
  readonly addresses: readonly string[];
  /** Deadline of a unary call. */
  readonly callTimeoutMs: number;
  /** What one item (a draft, a score) may take; also when a silent stream is given up. */
  readonly itemTimeoutMs: number;
  /** gRPC deadline of a stream; it is opened again behind the caller's back. */
  readonly streamTimeoutMs: number;
  /** Without any answer for so long the call fails with UNAVAILABLE. */
  readonly retryTimeoutMs: number;
  /** Silence after which a connection is probed; without an answer within half of that it is lost. */
  readonly keepaliveMs: number;
  /** A score unanswered for so long is asked of a second replica too; 0 = never. */
  readonly hedgeAfterMs: number;
  /** Repeats to an overloaded teacher that names no time, and hedges, per answer. */
  readonly retryBudget: number;
  readonly encoding: "compact" | "plain";
  /** COMPACT only: largest error of a logit on the wire, nats; 0 = exact. */
  readonly maxLogitError: number;
  /** Uniform numbers in [0, 1) that spread reconnects of many students; they decide nothing else. */
  readonly random: () => number;
  /** All addresses of a host name; default: the system's. */
  readonly resolve?: (host: string) => Promise<readonly string[]>;
  readonly onEvent?: (event: TeacherEvent) => void;
}

export type TeacherEvent =
  | { readonly kind: "connected"; readonly address: string; readonly model: string }
  /** A server that is not asked anything: another teacher, or no permission. */
  | { readonly kind: "refused"; readonly address: string; readonly error: TandemError }
  | {
      readonly kind: "retry";
      readonly address: string;
      readonly delayMs: number;
      readonly error: TandemError;
    };

/** Defaults of everything but the address, the generator and the listener. */
export const TEACHER_DEFAULTS = {
  callTimeoutMs: 10_000,
  itemTimeoutMs: 120_000,
  streamTimeoutMs: 3_600_000,
  retryTimeoutMs: 120_000,
  keepaliveMs: 20_000,
  hedgeAfterMs: 0,
  retryBudget: 0.2,
  encoding: "compact",
  maxLogitError: 0.01,
} as const satisfies Partial<TeacherOptions>;
