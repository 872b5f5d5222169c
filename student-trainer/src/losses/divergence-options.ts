import { z } from "zod";
import type { LossRequirement } from "./loss-definition.js";
import { scheduleMinimum, scheduleSchema } from "./schedule.js";

/** What all divergences between teacher and student have in common. */
export const divergenceOptions = z.strictObject({
  topK: z
    .int()
    .min(1)
    .default(64)
    .describe(
      "size of the teacher's top list; the rest of the vocabulary is one extra bucket with the teacher's exact mass",
    ),
  topPMass: z
    .number()
    .gt(0)
    .max(1)
    .default(1)
    .describe(
      "a position's list ends where it holds so much of the teacher's probability, with topK as its longest; 1: always topK ids",
    ),
  dense: z
    .boolean()
    .default(false)
    .describe("use all V teacher logits instead of a top list: small vocabularies only"),
  temperature: scheduleSchema
    .refine((schedule) => scheduleMinimum(schedule) > 0, "a temperature must be positive")
    .default({ kind: "constant", value: 1 })
    .describe("divides the logits of both sides; a number or a schedule"),
});

export type DivergenceOptions = z.output<typeof divergenceOptions>;

/** For losses that do more with a list than take its ids one by one: theirs is always whole. */
export const wholeListOptions = divergenceOptions.omit({ topPMass: true });

export type WholeListOptions = z.output<typeof wholeListOptions>;

/** Temperature 1 needs no second normaliser. */
export function isTempered({ temperature }: Pick<DivergenceOptions, "temperature">): boolean {
  return temperature.kind !== "constant" || temperature.value !== 1;
}

export function divergenceRequirement(
  options: WholeListOptions & Partial<DivergenceOptions>,
): LossRequirement {
  const { dense, topK, topPMass = 1 } = options;
  return {
    signal: dense ? { dense: "f32" } : { topK, ...(topPMass < 1 && { topPMass }) },
    ...(isTempered(options) && { taus: { temperature: options.temperature } }),
  };
}
