import type { Job, Priority } from "./job.js";

const PRIORITIES: readonly Priority[] = ["high", "normal", "low"];

/** From here on nobody's next token waits for it. */
export const FIRST_BULK_TIER = 2;

export const TIERS = 2 * PRIORITIES.length;

/** 0 goes first. */
export function tierOf({ priority, kind }: Pick<Job, "priority" | "kind">): number {
  return 2 * PRIORITIES.indexOf(priority) + (kind === "prefill" ? 1 : 0);
}
