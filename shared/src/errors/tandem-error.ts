import { ERROR_CODES, type ErrorCode } from "./error-code.js";

export interface TandemErrorOptions {
  readonly cause?: unknown;
  /** The field of the request or configuration that is wrong, as the user wrote it: `signal.top_k`. */
  readonly field?: string;
  /** The limit that was exceeded, in the field's unit. */
  readonly limit?: number;
  /** How long to wait before a retry makes sense. */
  readonly retryDelayMs?: number;
}

/** The one error class. The message says what was given, what is allowed and what to do; the code is for programs. */
export class TandemError extends Error {
  readonly code: ErrorCode;
  readonly field: string | undefined;
  readonly limit: number | undefined;
  readonly retryDelayMs: number | undefined;

  constructor(code: ErrorCode, message: string, options: TandemErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "TandemError";
    this.code = code;
    this.field = options.field;
    this.limit = options.limit;
    this.retryDelayMs = options.retryDelayMs;
  }

  get retryable(): boolean {
    return ERROR_CODES[this.code].retryable;
  }

  /** Normalises anything caught. What is not ours becomes INTERNAL with the original as cause. */
  static from(caught: unknown): TandemError {
    if (caught instanceof TandemError) return caught;
    const message = caught instanceof Error ? caught.message : String(caught);
    return new TandemError("INTERNAL", message, { cause: caught });
  }
}
