import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { EngineFailure } from "./engine-messages.js";

export function toEngineFailure(caught: unknown): EngineFailure {
  const error = TandemError.from(caught);
  const origin = error.cause instanceof Error ? error.cause : error;
  return {
    code: error.code,
    message: error.message,
    ...(origin.stack !== undefined && { stack: origin.stack }),
    ...(error.field !== undefined && { field: error.field }),
    ...(error.limit !== undefined && { limit: error.limit }),
  };
}

export function fromEngineFailure(failure: EngineFailure): TandemError {
  const error = new TandemError(failure.code, failure.message, {
    ...(failure.field !== undefined && { field: failure.field }),
    ...(failure.limit !== undefined && { limit: failure.limit }),
  });
  if (failure.stack !== undefined) error.stack = failure.stack;
  return error;
}
