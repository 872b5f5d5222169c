import { z } from "zod";

import { dataSchema } from "../data/data-config.js";
import { lossesSchema } from "../losses/loss-set.js";
import { teacherNameSchema } from "../losses/loss-teachers.js";
import { optimizerSchema } from "../optim/optimizer-config.js";
import { rolloutSchema } from "../rollout/rollout-config.js";
import { trainingSchema } from "../training/training-config.js";
import { teacherSchema, teachersSchema } from "./teacher-config.js";

const studentSchema = z.strictObject({
  model: z.string().min(1).describe("Directory or hub id of the student to start from"),
  revision: z.string().min(1).default("main").describe("Branch, tag or commit of a hub id"),
  kvMemoryBytes: z
    .int()
    .min(1)
    .optional()
    .describe("Memory for the keys and values of rows being written; default: what they need"),
});

const evaluationSchema = z
  .strictObject({
    rows: z.int().min(1).default(200).describe("How many held-out rows are answered"),
    maxResponse: z.int().min(1).optional().describe("Default: rollout.maxResponse"),
    concurrency: z.int().min(1).default(64).describe("Rows answered at once"),
    extract: z
      .string()
      .min(1)
      .optional()
      .describe(
        "Regular expression; the first group of its last match is compared instead of the whole response (GSM8K: '#### *(-?[0-9.,]+)')",
      ),
    teacherRows: z
      .int()
      .min(0)
      .default(0)
      .describe(
        "On so many rows the teacher also judges the student's own text: KL, agreement, CR@k, MOR@k, acceptance of drafts (docs/methods.md); 0 = never",
      ),
    teacher: teacherNameSchema
      .optional()
      .describe("Which of teachers: judges; default: the one of teacher"),
  })
  .prefault({});

const outputSchema = z.strictObject({
  dir: z.string().min(1).describe("The run directory"),
  samples: z
    .int()
    .min(0)
    .default(2)
    .describe("Sequences of every batch that go into rollouts.jsonl for people"),
});

/** Everything a run depends on. Strict: unknown keys are errors. */
export const runSchema = z.strictObject({
  student: studentSchema,
  teacher: teacherSchema.prefault({}),
  teachers: teachersSchema,
  data: dataSchema,
  rollout: rolloutSchema.prefault({}),
  losses: lossesSchema.describe(
    "What is minimised: losses by name, each with a weight and its own options; student-trainer losses lists them",
  ),
  optimizer: optimizerSchema.prefault({}),
  training: trainingSchema,
  evaluation: evaluationSchema,
  output: outputSchema,
});

export type RunConfig = z.infer<typeof runSchema>;
export type EvaluationConfig = RunConfig["evaluation"];
