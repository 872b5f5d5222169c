import type { HeadRequest } from "./step.js";

/** Number of next-token laws that a request asks for: one per target, and the one that is sampled. */
export function lawCount({ targets, sample }: HeadRequest): number {
  return targets.length + (sample === undefined ? 0 : 1);
}
