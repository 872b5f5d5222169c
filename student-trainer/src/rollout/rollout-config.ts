import type { AcceptanceRule } from "@tandem/shared/sampling/acceptance.js";
import type { SamplingParams } from "@tandem/shared/sampling/sampling-params.js";
import { unreachable } from "@tandem/shared/errors/invariant.js";
import { z } from "zod";

import { teacherNameSchema } from "../losses/loss-teachers.js";

function samplingSchema(defaults: { temperature: number; topP: number; topK: number }) {
  return z
    .strictObject({
      temperature: z.number().min(0).default(defaults.temperature).describe("0 = greedy"),
      topK: z.int().min(0).default(defaults.topK).describe("keep the k most probable; 0 = off"),
      topP: z
        .number()
        .gt(0)
        .max(1)
        .default(defaults.topP)
        .describe("keep the smallest set with at least this mass; 1 = off"),
    })
    .prefault({});
}

export const acceptanceSchema = z
  .union([
    z.strictObject({ rank: z.int().min(1) }),
    z.strictObject({ topP: z.number().gt(0).max(1) }),
    z.strictObject({ minP: z.number().gt(0).max(1) }),
    z.strictObject({ greedy: z.literal(true) }),
  ])
  .describe(
    "When the teacher accepts a draft token: {rank: K} (fewer than K better ids), {topP: P}, {minP: p} or {greedy: true}",
  );

/** The slice `rollout`: who writes the text the student is trained on, and how. */
export const rolloutSchema = z.strictObject({
  kind: z
    .enum(["supervised", "sequence", "on-policy", "mixed", "skd"])
    .default("skd")
    .describe(
      "supervised: the data's answers; sequence: the teacher writes; on-policy: the student writes; mixed: a coin per batch; skd: both write together",
    ),
  teacher: teacherNameSchema
    .optional()
    .describe("Which of teachers: writes (skd, sequence); default: the row's teacher"),
  rows: z.int().min(1).default(32).describe("Rollouts per batch"),
  concurrency: z.int().min(1).default(32).describe("Rows written at once"),
  samplesPerPrompt: z.int().min(1).default(1).describe("Rollouts per prompt"),
  maxResponse: z.int().min(1).default(256).describe("Longest response, tokens"),
  stopIds: z
    .array(z.int().min(0))
    .optional()
    .describe("Ids that end a response; default: the checkpoint's end-of-text ids"),
  blockLength: z.int().min(1).default(8).describe("skd: drafts per block (γ)"),
  draftAhead: z
    .int()
    .min(0)
    .default(1)
    .describe("skd: blocks written beyond an unanswered one, on the guess that it is accepted"),
  acceptance: acceptanceSchema.default({ rank: 25 }),
  studentSampling: samplingSchema({ temperature: 1, topP: 1, topK: 0 }).describe(
    "How the student draws its tokens",
  ),
  teacherSampling: samplingSchema({ temperature: 0.2, topP: 0.5, topK: 0 }).describe(
    "How the teacher draws replacements (skd) and whole responses (sequence)",
  ),
  lambda: z
    .number()
    .min(0)
    .max(1)
    .default(0.5)
    .describe("mixed: probability that a batch is written by the student"),
  otherwise: z
    .enum(["supervised", "sequence"])
    .default("supervised")
    .describe("mixed: where the other batches come from"),
});

export type RolloutConfig = z.infer<typeof rolloutSchema>;

export function toAcceptanceRule(acceptance: RolloutConfig["acceptance"]): AcceptanceRule {
  if ("rank" in acceptance) return { kind: "rank", k: acceptance.rank };
  if ("topP" in acceptance) return { kind: "top-p", p: acceptance.topP };
  if ("minP" in acceptance) return { kind: "min-p", p: acceptance.minP };
  if ("greedy" in acceptance) return { kind: "greedy" };
  return unreachable(acceptance);
}

export function toSamplingParams(sampling: RolloutConfig["studentSampling"]): SamplingParams {
  return { temperature: sampling.temperature, topK: sampling.topK, topP: sampling.topP };
}

/** Does writing (not the losses) need a teacher? */
export function writesWithTeacher({ kind, otherwise, lambda }: RolloutConfig): boolean {
  if (kind === "mixed") return otherwise === "sequence" && lambda < 1;
  return kind === "skd" || kind === "sequence";
}

/** Does the student write, so that its weights must follow the training? */
export function usesStudent({ kind, lambda }: RolloutConfig): boolean {
  return kind === "mixed" ? lambda > 0 : kind === "skd" || kind === "on-policy";
}

/** Are the data's answers trained on? Elsewhere they may be as long as they like. */
export function usesAnswers({ kind, otherwise, lambda }: RolloutConfig): boolean {
  if (kind === "mixed") return otherwise === "supervised" && lambda < 1;
  return kind === "supervised";
}
