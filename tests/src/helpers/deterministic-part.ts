import type { RunRecord, StepTiming } from "@tandem/student-trainer/training/run-log.js";

const TIMING_FIELDS: readonly string[] = [
  "tokensPerSecond",
  "teacherWaitMs",
  "seconds",
  "rolloutSeconds",
] satisfies (keyof StepTiming)[];

/** A record without what depends on the clock: equal for equal runs, bit by bit. */
export function deterministicPart(record: RunRecord): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(record).filter(([name]) => !TIMING_FIELDS.includes(name)),
  );
}
