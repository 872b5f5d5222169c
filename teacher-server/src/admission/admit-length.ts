import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { ServerLimits } from "./server-limits.js";

/** Checks what a sequence may grow to.
 * @throws TandemError OUT_OF_RANGE above the context, and when its cache alone is larger than the pool: waiting would not help. */
export function assertLength(length: number, field: string, limits: ServerLimits): void {
  if (length > limits.contextLength) {
    throw new TandemError(
      "OUT_OF_RANGE",
      `${field}: ${length} positions are longer than the context of ${limits.contextLength}; shorten prompt or response`,
      { field, limit: limits.contextLength },
    );
  }
  if (length > limits.maxCachedLength) {
    throw new TandemError(
      "OUT_OF_RANGE",
      `${field}: the KV cache of ${length} positions is larger than the pool, which holds ${limits.maxCachedLength}; shorten prompt or response, or raise --kv-cache-memory-bytes`,
      { field, limit: limits.maxCachedLength },
    );
  }
}

/** @throws TandemError INVALID_ARGUMENT for an empty array of tokens. */
export function assertNotEmpty(tokens: Uint32Array, field: string): void {
  if (tokens.length > 0) return;
  throw new TandemError("INVALID_ARGUMENT", `${field} is empty; at least one token is needed`, {
    field,
  });
}
