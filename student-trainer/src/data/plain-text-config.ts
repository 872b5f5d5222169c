import { z } from "zod";
import { teacherNameSchema } from "../losses/loss-teachers.js";
import { boundedSchedule, scheduleMaximum } from "../losses/schedule.js";

/** How much of it is learnt from a teacher instead of the text itself. */
const distillationSchema = z
  .strictObject({
    share: boundedSchedule(0, 1)
      .prefault(0)
      .describe(
        "s: (1−s) times cross-entropy and s times forward KL to a teacher on the same text; 0 asks no teacher",
      ),
    topK: z
      .int()
      .min(1)
      .default(64)
      .describe("size of the teacher's top list; the rest is one bucket"),
    dense: z
      .boolean()
      .default(false)
      .describe("use all V teacher logits instead of a top list: small vocabularies only"),
    teacher: teacherNameSchema.optional().describe("One of teachers:; default: the one of teacher"),
  })
  .prefault({});

/** The slice `data.plainText`: a second stream of text beside the rollouts. */
export const plainTextSchema = z
  .strictObject({
    train: z
      .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
      .optional()
      .describe(
        "JSON lines or parquet file(s) with text that is learnt in every step, beside the losses on rollouts; default: none",
      ),
    field: z.string().min(1).default("text").describe("Field with the text"),
    rows: z.int().min(1).default(8).describe("Pieces of text in an optimizer step"),
    length: z.int().min(2).default(256).describe("Tokens of a piece; longer texts are cut"),
    weight: boundedSchedule(0)
      .default({ kind: "constant", value: 1 })
      .describe("Weight of the mean over a step's pieces"),
    distillation: distillationSchema,
  })
  .prefault({});

export type PlainTextConfig = z.output<typeof plainTextSchema>;

/** Is a teacher asked about the plain text? */
export function distilsPlainText({ train, distillation }: PlainTextConfig): boolean {
  return train !== undefined && scheduleMaximum(distillation.share) > 0;
}
