import { unreachable } from "@tandem/shared/errors/invariant.js";
import { z } from "zod";

const start = z.number().min(0).max(1).default(0).describe("progress at which the change begins");
const end = z
  .number()
  .min(0)
  .max(1)
  .default(1)
  .describe("progress at which the change is complete");

const movingSchedule = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("constant"), value: z.number() }),
  z.strictObject({ kind: z.literal("linear"), from: z.number(), to: z.number(), start, end }),
  z.strictObject({ kind: z.literal("cosine"), from: z.number(), to: z.number(), start, end }),
  z.strictObject({
    kind: z.literal("exponential"),
    from: z.number().positive(),
    to: z.number().positive(),
    start,
    end,
  }),
  z.strictObject({
    kind: z.literal("steps"),
    values: z.array(z.number()).min(1).describe("one for each of equal parts of the run"),
  }),
]);

/** A number that changes with progress, the done fraction of the run in [0, 1]. A plain number is a constant. */
export const scheduleSchema = z.union(
  [z.number().transform((value) => ({ kind: "constant", value }) as const), movingSchedule],
  {
    error:
      "give a finite number, or a schedule such as {kind: linear, from: 1, to: 0, start: 0, end: 1} (kinds constant, linear, cosine, exponential, steps)",
  },
);

/** A schedule whose values stay within bounds. */
export function boundedSchedule(minimum: number, maximum = Infinity) {
  const upTo = maximum === Infinity ? "" : ` and at most ${maximum}`;
  return scheduleSchema.refine(
    (schedule) => scheduleMinimum(schedule) >= minimum && scheduleMaximum(schedule) <= maximum,
    { message: `must be at least ${minimum}${upTo} all the way` },
  );
}

/** A schedule of counts: between whole numbers it is rounded. */
export function wholeSchedule(minimum: number) {
  return boundedSchedule(minimum).refine((schedule) => extremes(schedule).every(Number.isInteger), {
    message: "must begin and end at whole numbers",
  });
}

/** What a user writes, and what the schema makes of it. */
export type ScheduleInput = z.input<typeof scheduleSchema>;
export type Schedule = z.output<typeof scheduleSchema>;

/** The value at `progress`; before `start` it is `from`, behind `end` it is `to`. */
export function scheduleAt(schedule: Schedule, progress: number): number {
  switch (schedule.kind) {
    case "constant":
      return schedule.value;
    case "linear":
      return mix(schedule.from, schedule.to, fraction(schedule, progress));
    case "cosine":
      return mix(
        schedule.from,
        schedule.to,
        (1 - Math.cos(Math.PI * fraction(schedule, progress))) / 2,
      );
    case "exponential":
      return schedule.from * (schedule.to / schedule.from) ** fraction(schedule, progress);
    case "steps": {
      const { values } = schedule;
      return values[Math.min(values.length - 1, Math.floor(progress * values.length + 1e-9))]!;
    }
    default:
      return unreachable(schedule);
  }
}

/** Smallest value that the schedule takes: for checks at configuration time. */
export function scheduleMinimum(schedule: Schedule): number {
  return Math.min(...extremes(schedule));
}

/** Largest value that the schedule takes. */
export function scheduleMaximum(schedule: Schedule): number {
  return Math.max(...extremes(schedule));
}

function extremes(schedule: Schedule): readonly number[] {
  switch (schedule.kind) {
    case "constant":
      return [schedule.value];
    case "steps":
      return schedule.values;
    case "linear":
    case "cosine":
    case "exponential":
      return [schedule.from, schedule.to];
    default:
      return unreachable(schedule);
  }
}

function fraction(
  { start: from, end: to }: { start: number; end: number },
  progress: number,
): number {
  if (progress <= from) return 0;
  return progress >= to ? 1 : (progress - from) / (to - from);
}

function mix(from: number, to: number, amount: number): number {
  return from + (to - from) * amount;
}
