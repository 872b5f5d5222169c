import { performance } from "node:perf_hooks";

import type { TandemError } from "@tandem/shared/errors/tandem-error.js";

import type { Backoff } from "./backoff.js";
import type { Replica } from "./replica.js";
import type { RetryBudget } from "./retry-budget.js";

export interface RepeatContext {
  /** The item's own. */
  readonly backoff: Backoff;
  readonly budget: RetryBudget;
  /** Who refused the item. */
  readonly replica: Replica;
}

/** Milliseconds until an item that came back with an error is sent again; undefined when it failed for too long.
 * An overloaded teacher is asked again within the budget only; one that is away counts as failing. */
export function repeatDelay(
  error: TandemError,
  { backoff, budget, replica }: RepeatContext,
): number | undefined {
  const isOverload = error.code === "RESOURCE_EXHAUSTED" || error.code === "DEADLINE_EXCEEDED";
  if (error.code === "UNAVAILABLE") replica.failed();
  const delayMs = backoff.next(error.retryDelayMs);
  if (delayMs === undefined || !isOverload) return delayMs;
  return Math.max(delayMs, budget.reserve(performance.now()));
}
