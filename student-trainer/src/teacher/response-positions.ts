import type { Usage__Output } from "@tandem/proto/gen/tandem/v1/Usage.js";

/** Positions computed for laws that were asked for: without prompts, and without what was computed again after a loss. */
export function responsePositions(usage: Usage__Output | null): number {
  return usage === null ? 0 : usage.computedPositions - usage.prefillPositions;
}
