import { z } from "zod";

import { dataSchema } from "../data/data-config.js";
import { lossesSchema } from "../losses/loss-set.js";
import { optimizerSchema } from "../optim/optimizer-config.js";
import { rolloutSchema } from "../rollout/rollout-config.js";
import { TEACHER_DEFAULTS } from "../teacher/teacher-options.js";
import { trainingSchema } from "../training/training-config.js";

const studentSchema = z.strictObject({
  model: z.string().min(1).describe("Directory or hub id of the student to start from"),
  revision: z.string().min(1).default("main").describe("Branch, tag or commit of a hub id"),
  kvMemoryBytes: z
    .int()
    .min(1)
    .optional()
    .describe("Memory for the keys and values of rows being written; default: what they need"),
});

const ms = (value: number, text: string) => z.int().min(1).default(value).describe(text);

const teacherSchema = z
  .strictObject({
    address: z
      .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
      .optional()
      .describe("host:port of teacher-server, or several replicas of the same teacher"),
    tls: z
      .strictObject({
        caFile: z
          .string()
          .min(1)
          .optional()
          .describe(
            "PEM certificates that may have signed the teacher's; default: Node's own list",
          ),
        certFile: z
          .string()
          .min(1)
          .optional()
          .describe("PEM certificate of this student, for a teacher that asks for one"),
        keyFile: z.string().min(1).optional().describe("PEM key of that certificate"),
        serverName: z
          .string()
          .min(1)
          .optional()
          .describe("Name in the teacher's certificate where it is not the one in the address"),
      })
      .optional()
      .describe("Given, if only as {}: TLS"),
    tokenFile: z
      .string()
      .min(1)
      .optional()
      .describe("File with the token that names this student; or set TANDEM_TEACHER_TOKEN"),
    allowInsecure: z
      .boolean()
      .default(false)
      .describe("Send the token in plain text to another machine"),
    encoding: z
      .enum(["compact", "plain"])
      .default(TEACHER_DEFAULTS.encoding)
      .describe("How signals travel; plain is exact and about four times larger"),
    maxLogitError: z
      .number()
      .min(0)
      .default(TEACHER_DEFAULTS.maxLogitError)
      .describe("compact only: largest error of a logit on the wire, nats; 0 = exact"),
    callTimeoutMs: ms(TEACHER_DEFAULTS.callTimeoutMs, "Deadline of a unary call"),
    itemTimeoutMs: ms(TEACHER_DEFAULTS.itemTimeoutMs, "What one draft or score may take"),
    streamTimeoutMs: ms(TEACHER_DEFAULTS.streamTimeoutMs, "Longest life of a stream"),
    retryTimeoutMs: ms(
      TEACHER_DEFAULTS.retryTimeoutMs,
      "How long a teacher that does not answer is waited for",
    ),
  })
  .prefault({});

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
        "On so many rows the teacher also judges the student's own text: KL, agreement; 0 = never",
      ),
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
  teacher: teacherSchema,
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
