import { z } from "zod";
import { scheduleSchema } from "../losses/schedule.js";

/** The slice `data.plainText`: a second stream of text, which no teacher sees. */
export const plainTextSchema = z
  .strictObject({
    train: z
      .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
      .optional()
      .describe(
        "JSON lines or parquet file(s) with text that is learnt by cross-entropy in every step, beside the losses on rollouts; default: none",
      ),
    field: z.string().min(1).default("text").describe("Field with the text"),
    rows: z.int().min(1).default(8).describe("Pieces of text in an optimizer step"),
    length: z.int().min(2).default(256).describe("Tokens of a piece; longer texts are cut"),
    weight: scheduleSchema
      .default({ kind: "constant", value: 1 })
      .describe("Weight of the mean cross-entropy over a step's pieces"),
  })
  .prefault({});

export type PlainTextConfig = z.output<typeof plainTextSchema>;
