import type { TandemError } from "@tandem/shared/errors/tandem-error.js";

import type { TeacherSecurity } from "./teacher-security.js";

/** How the student reaches its teacher. Times are milliseconds. */
export interface TeacherOptions extends TeacherSecurity {
  /** `host:port`, one or several replicas of the same teacher; the next one is tried when one fails. */
  readonly addresses: readonly string[];
  /** Deadline of a unary call. */
  readonly callTimeoutMs: number;
  /** What one item (a draft, a score) may take; also when a silent stream is given up. */
  readonly itemTimeoutMs: number;
  /** gRPC deadline of a stream; it is opened again behind the caller's back. */
  readonly streamTimeoutMs: number;
  /** Without any answer for so long the call fails with UNAVAILABLE. */
  readonly retryTimeoutMs: number;
  readonly encoding: "compact" | "plain";
  /** COMPACT only: largest error of a logit on the wire, nats; 0 = exact. */
  readonly maxLogitError: number;
  /** Uniform numbers in [0, 1) that spread reconnects of many students; they decide nothing else. */
  readonly random: () => number;
  readonly onEvent?: (event: TeacherEvent) => void;
}

export type TeacherEvent =
  | { readonly kind: "connected"; readonly address: string; readonly model: string }
  /** A replica whose results may differ in their last bits. */
  | { readonly kind: "numerics-changed"; readonly address: string; readonly numericsId: string }
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
  encoding: "compact",
  maxLogitError: 0.01,
} as const satisfies Partial<TeacherOptions>;
