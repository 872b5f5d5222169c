import { z } from "zod";

/** How weights are updated: AdamW with clipping, a warm-up and a schedule. */
export const optimizerSchema = z.strictObject({
  learningRate: z.number().positive().default(5e-4).describe("peak learning rate"),
  schedule: z
    .enum(["constant", "linear", "cosine"])
    .default("linear")
    .describe("shape of the learning rate behind the warm-up"),
  warmupSteps: z
    .int()
    .min(0)
    .default(0)
    .describe("steps of linear warm-up: step i of w has (i+1)/w of the peak"),
  decayStart: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe(
      "fraction of the run at which linear or cosine decay begins; the rate is constant before",
    ),
  finalFraction: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe("fraction of the peak that is left at the end of the run"),
  beta1: z.number().min(0).lt(1).default(0.9).describe("decay of the first moment"),
  beta2: z.number().min(0).lt(1).default(0.999).describe("decay of the second moment"),
  epsilon: z.number().positive().default(1e-8).describe("added to the root of the second moment"),
  weightDecay: z
    .number()
    .min(0)
    .default(0.01)
    .describe("decoupled decay; norms and biases have none"),
  clipNorm: z
    .number()
    .positive()
    .nullable()
    .default(1)
    .describe("largest global gradient norm; null: no clipping"),
});

export type OptimizerConfig = z.output<typeof optimizerSchema>;
