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

/** Temperature 1 needs no second normaliser. */
export function isTempered({ temperature }: DivergenceOptions): boolean {
  return temperature.kind !== "constant" || temperature.value !== 1;
}

export function divergenceRequirement(options: DivergenceOptions): LossRequirement {
  return {
    signal: options.dense ? { dense: "f32" } : { topK: options.topK },
    ...(isTempered(options) && { taus: { temperature: options.temperature } }),
  };
}
