import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { z } from "zod";
import { reductionSchema } from "../losses/reduction.js";

/** The loop: how long, in what portions, how often things are looked at and saved. */
export const trainingSchema = z
  .strictObject({
    steps: z.int().min(1).optional().describe("optimizer steps; give this or rounds"),
    rounds: z.int().min(1).optional().describe("batches of rollouts; give this or steps"),
    numIterations: z
      .int()
      .min(1)
      .default(1)
      .describe("how many times each batch of rollouts is used"),
    minibatchSize: z.int().min(1).default(32).describe("sequences per optimizer step"),
    microBatchSize: z
      .int()
      .min(1)
      .nullable()
      .default(null)
      .describe(
        "sequences computed at once; their gradients are summed up to those of the minibatch. null: all",
      ),
    reduction: reductionSchema.default("token"),
    seed: z.int().min(0).max(0xffffffff).default(0).describe("seed of the order of sequences"),
    staleness: z
      .int()
      .min(0)
      .default(0)
      .describe(
        "batch r is written with the weights after batch r-1-staleness; above 0 the next batch is written while one trains",
      ),
    evaluateEvery: z
      .int()
      .min(1)
      .nullable()
      .default(null)
      .describe("steps between evaluations; null: only first and last"),
    checkpointEvery: z
      .int()
      .min(1)
      .nullable()
      .default(null)
      .describe("steps between checkpoints; null: only the last"),
    keepCheckpoints: z.int().min(1).default(2).describe("how many checkpoints stay on disk"),
    threads: z
      .int()
      .min(1)
      .nullable()
      .default(null)
      .describe("threads of the training engine; null: all cores"),
  })
  .refine((config) => (config.steps === undefined) !== (config.rounds === undefined), {
    message: "give either steps or rounds",
    path: ["steps"],
  });

export type TrainingConfig = z.output<typeof trainingSchema>;

/** Optimizer steps that a batch of `batchSize` rollouts is good for. */
export function stepsPerRound(config: TrainingConfig, batchSize: number): number {
  return config.numIterations * Math.ceil(batchSize / config.minibatchSize);
}

/** Length of the run in optimizer steps. @throws INVALID_ARGUMENT when a batch would be empty. */
export function totalSteps(config: TrainingConfig, batchSize: number): number {
  if (batchSize < 1) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `a batch of ${batchSize} rollouts is empty; ask for at least 1`,
    );
  }
  return config.steps ?? (config.rounds ?? 0) * stepsPerRound(config, batchSize);
}
