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
 * A teacher that is away counts as failing. One that is overloaded, or has a quota for us, is asked again when it says, for as long as it answers anything; if it
 * does not say, within the budget. */
export function repeatDelay(
  error: TandemError,
  { backoff, budget, replica }: RepeatContext,
): number | undefined {
  if (error.code === "UNAVAILABLE") replica.failed();
  const isOverload = error.code === "RESOURCE_EXHAUSTED" || error.code === "DEADLINE_EXCEEDED";
  const hasTurn = error.code === "RESOURCE_EXHAUSTED" && error.retryDelayMs !== undefined;
  // A teacher that answers others is there, however long it takes until this one's turn.
  const delayMs = backoff.next(error.retryDelayMs, hasTurn ? budget.lastAnswerMs : undefined);
  // A quota's delay is when there is room again: more patience than that would waste it.
  if (delayMs === undefined || !isOverload || error.retryDelayMs !== undefined) return delayMs;
  return Math.max(delayMs, budget.reserve(performance.now()));
}
