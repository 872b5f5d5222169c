import { z } from "zod";

import { teacherNameSchema } from "../losses/loss-teachers.js";
import { TEACHER_DEFAULTS } from "../teacher/teacher-options.js";

const ms = (value: number, text: string) => z.int().min(1).default(value).describe(text);

/** How a teacher is reached. */
export const teacherSchema = z.strictObject({
  address: z
    .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
    .optional()
    .describe(
      "host:port of teacher-server, or a list of replicas of the same teacher; dns:///name:port stands for all addresses of a name",
    ),
  tls: z
    .strictObject({
      caFile: z
        .string()
        .min(1)
        .optional()
        .describe("PEM certificates that may have signed the teacher's; default: Node's own list"),
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
    .describe(
      "File with the token that names this student; or set TANDEM_TEACHER_TOKEN (TANDEM_TEACHERS_NAME_TOKEN for a named teacher)",
    ),
  allowInsecure: z
    .boolean()
    .default(false)
    .describe("Send the token in plain text to another machine"),
  tokenizer: z
    .string()
    .min(1)
    .optional()
    .describe(
      "Directory of the teacher's tokenizer where it is not the student's: texts are translated, and only losses across tokenizers (gold) can use it",
    ),
  merge: z
    .enum(["last", "first"])
    .default("last")
    .describe(
      "With tokenizer: which token's law stands for several that are one of the other side: the last's (chain rule) or the first's",
    ),
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
  keepaliveMs: ms(
    TEACHER_DEFAULTS.keepaliveMs,
    "Silence after which a connection is probed; without an answer within half of that it is lost",
  ),
  hedgeAfterMs: z
    .int()
    .min(0)
    .default(TEACHER_DEFAULTS.hedgeAfterMs)
    .describe("A score unanswered for so long is asked of a second replica too; 0 = never"),
  retryBudget: z
    .number()
    .min(0)
    .max(1)
    .default(TEACHER_DEFAULTS.retryBudget)
    .describe("Repeats to an overloaded teacher that names no time, and hedges, per answer"),
});

/** Further teachers, by the names that losses, rollouts and rows give them. */
export const teachersSchema = z
  .record(teacherNameSchema, teacherSchema)
  .default({})
  .describe(
    "Further teachers by name, each with the options of teacher; losses (teacher, teachers), rollout.teacher, evaluation.teacher and rows (data.teacher) name them",
  );
