import { z } from "zod";
import { plainTextSchema } from "./plain-text-config.js";

const files = z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]);

/** The slice `data` of a run's configuration: where prompts and answers come from. */
export const dataSchema = z.strictObject({
  train: files.describe("JSON lines or parquet file(s) with the training prompts"),
  evaluation: files.optional().describe("File(s) with held-out rows; they need answers"),
  prompt: z.string().min(1).default("prompt").describe("Field with the prompt's text"),
  answer: z.string().min(1).default("answer").describe("Field with the reference answer's text"),
  teacher: z
    .string()
    .min(1)
    .optional()
    .describe(
      "Field with the name of the row's teacher, one of teachers:; a row without it has the one of teacher",
    ),
  messages: z
    .string()
    .min(1)
    .optional()
    .describe(
      "Field with chat messages, instead of prompt and answer; a last message of the assistant is the answer",
    ),
  chat: z
    .boolean()
    .default(false)
    .describe(
      "Send plain prompts through the checkpoint's chat template, as a message of the user",
    ),
  system: z.string().optional().describe("System message in front of every chat"),
  teacherPrompt: z
    .string()
    .min(1)
    .optional()
    .describe(
      "Field with what teachers see in place of the prompt (a text, or messages where data.messages is used): privileged context; rows without it show their own",
    ),
  teacherSystem: z
    .string()
    .optional()
    .describe("System message of the chats that teachers see, in place of data.system"),
  appendEos: z
    .boolean()
    .default(true)
    .describe("End reference answers with the first stop id, so that the student learns to stop"),
  maxPrompt: z.int().min(1).default(1024).describe("Longest prompt, tokens"),
  maxTeacherPrompt: z
    .int()
    .min(1)
    .default(4096)
    .describe("Longest prompt that only teachers see, tokens"),
  tooLong: z
    .enum(["skip", "error"])
    .default("skip")
    .describe(
      "What happens to rows over maxPrompt or maxTeacherPrompt, and to answers over rollout.maxResponse",
    ),
  limit: z.int().min(1).optional().describe("Use only the first rows of the training files"),
  plainText: plainTextSchema,
  shuffle: z.boolean().default(true).describe("A fresh order every epoch, from training.seed"),
});

export type DataConfig = z.infer<typeof dataSchema>;
