import type { Metadata } from "@grpc/grpc-js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { Method } from "../calls/call-context.js";
import type { AuditEntry } from "./audit-log.js";
import { principalOf } from "./authenticate.js";
import { emptyTally } from "./call-tally.js";

/** What is asked of any call. */
export interface NamedCall {
  readonly metadata: Metadata;
  readonly getPeer: () => string;
  readonly getPath: () => string;
}

export interface CallListeners {
  readonly onCall: (entry: AuditEntry, method: Method) => void;
  /** A fault whose details stay in the log. */
  readonly onInternal: (method: Method, error: TandemError) => void;
}

/** Counts one call and says, once, how it ended. */
export class CallRecord {
  readonly tally = emptyTally();
  readonly #began = performance.now();
  readonly #listeners: CallListeners;
  readonly #method: Method;
  readonly #call: NamedCall;
  #told = false;

  constructor(listeners: CallListeners, method: Method, call: NamedCall) {
    this.#listeners = listeners;
    this.#method = method;
    this.#call = call;
  }

  ended(code: AuditEntry["code"]): void {
    if (this.#told) return;
    this.#told = true;
    const entry = {
      client: principalOf(this.#call.metadata).identity.name,
      peer: this.#call.getPeer(),
      call: this.#call.getPath(),
      code,
      durationMs: Math.round(performance.now() - this.#began),
      ...this.tally,
    };
    this.#listeners.onCall(entry, this.#method);
  }

  /** What was caught, as our error, after noting that it ended the call. */
  failed(caught: unknown): TandemError {
    const error = TandemError.from(caught);
    if (error.code === "INTERNAL" && !this.#told) this.#listeners.onInternal(this.#method, error);
    this.ended(error.code);
    return error;
  }
}
