import type { AcceptanceRule } from "@tandem/shared/sampling/acceptance.js";
import type { SamplingParams } from "@tandem/shared/sampling/sampling-params.js";
import { unreachable } from "@tandem/shared/errors/invariant.js";
import { z } from "zod";

import { adaptiveSchema } from "./adaptive-schedule.js";
import { teacherNameSchema } from "../losses/loss-teachers.js";
import {
  boundedSchedule,
  scheduleAt,
  scheduleMaximum,
  scheduleMinimum,
  wholeSchedule,
  type Schedule,
} from "../losses/schedule.js";

function samplingSchema(defaults: { temperature: number; topP: number; topK: number }) {
  return z
    .strictObject({
      temperature: boundedSchedule(0)
        .prefault(defaults.temperature)
        .describe("0 = greedy; a number or a schedule"),
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

const share = boundedSchedule(Number.MIN_VALUE, 1);

export const acceptanceSchema = z
  .union(
    [
      z.strictObject({ rank: wholeSchedule(1) }),
      z.strictObject({ filtered: wholeSchedule(1) }),
      z.strictObject({ mixture: boundedSchedule(0, 1) }),
      z.strictObject({ topP: share }),
      z.strictObject({ minP: share }),
      z.strictObject({ greedy: z.literal(true) }),
    ],
    {
      error:
        "give one rule with its number or schedule: {rank: K}, {filtered: K} (K whole), {topP: P}, {minP: p}, {mixture: m} or {greedy: true}",
    },
  )
  .describe(
    "When the teacher accepts a draft token: {rank: K} (fewer than K better ids), {filtered: K} (and the teacher's sampling could draw it: SKD's released code), {topP: P}, {minP: p}, {mixture: m} (replaced with probability m whatever it is: MiniLLM's text) or {greedy: true}; numbers or schedules",
  );

/** Who writes a response. */
export type WritingKind = "supervised" | "sequence" | "on-policy" | "skd";

/** The slice `rollout`: who writes the text the student is trained on, and how. */
export const rolloutSchema = z.strictObject({
  kind: z
    .enum(["supervised", "sequence", "on-policy", "mixed", "skd", "adaptive", "pairs"])
    .default("skd")
    .describe(
      "supervised: the data's answers; sequence: the teacher writes; on-policy: the student writes; mixed: a coin decides; skd: both write together; adaptive: the student's share and a replay of its texts grow with the held-out loss (DistiLLM); pairs: two responses to a prompt, one of them the student's (DistiLLM-2)",
    ),
  teacher: teacherNameSchema
    .optional()
    .describe("Which of teachers: writes (skd, sequence); default: the row's teacher"),
  onTeacherLoss: z
    .enum(["wait", "skip", "cached"])
    .default("wait")
    .describe(
      "When no teacher answers for teacher.retryTimeoutMs: wait: the run ends, saved, to be resumed; skip: the batch is left out; cached: one of the last four is trained on again",
    ),
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
  acceptance: acceptanceSchema.prefault({ rank: 25 }),
  studentSampling: samplingSchema({ temperature: 1, topP: 1, topK: 0 }).describe(
    "How the student draws its tokens",
  ),
  teacherSampling: samplingSchema({ temperature: 0.2, topP: 0.5, topK: 0 }).describe(
    "How the teacher draws replacements (skd) and whole responses (sequence)",
  ),
  lambda: boundedSchedule(0, 1)
    .prefault(0.5)
    .describe(
      "mixed: probability that a batch or row is written by the student; a number or a schedule",
    ),
  coin: z
    .enum(["batch", "row"])
    .default("batch")
    .describe("mixed: one coin per batch (TRL's GKD) or per row (ImitKD, SKD's baselines)"),
  student: z
    .enum(["on-policy", "skd"])
    .default("on-policy")
    .describe("mixed, adaptive, pairs: how the student's share is written"),
  otherwise: z
    .enum(["supervised", "sequence"])
    .default("supervised")
    .describe("mixed, adaptive, pairs: where the rest comes from"),
  adaptive: adaptiveSchema,
});

export type RolloutConfig = z.infer<typeof rolloutSchema>;
/** What a user writes. */
export type RolloutInput = z.input<typeof rolloutSchema>;

/** The rule at a point of the run. */
export function toAcceptanceRule(
  acceptance: RolloutConfig["acceptance"],
  progress: number,
): AcceptanceRule {
  const rank = (schedule: Schedule): number => Math.round(scheduleAt(schedule, progress));
  if ("rank" in acceptance) return { kind: "rank", k: rank(acceptance.rank) };
  if ("filtered" in acceptance) return { kind: "filtered", k: rank(acceptance.filtered) };
  if ("mixture" in acceptance) {
    return { kind: "mixture", share: scheduleAt(acceptance.mixture, progress) };
  }
  if ("topP" in acceptance) return { kind: "top-p", p: scheduleAt(acceptance.topP, progress) };
  if ("minP" in acceptance) return { kind: "min-p", p: scheduleAt(acceptance.minP, progress) };
  if ("greedy" in acceptance) return { kind: "greedy" };
  return unreachable(acceptance);
}

/** How a side draws at a point of the run. */
export function toSamplingParams(
  { temperature, topK, topP }: RolloutConfig["studentSampling"],
  progress: number,
): SamplingParams {
  return { temperature: scheduleAt(temperature, progress), topK, topP };
}

/** Every way in which responses of the run may come about. */
export function writingKinds({
  kind,
  lambda,
  student,
  otherwise,
}: Pick<RolloutConfig, "kind" | "lambda" | "student" | "otherwise">): readonly WritingKind[] {
  if (kind === "adaptive" || kind === "pairs") return [student, otherwise];
  if (kind !== "mixed") return [kind];
  return [
    ...(scheduleMaximum(lambda) > 0 ? [student] : []),
    ...(scheduleMinimum(lambda) < 1 ? [otherwise] : []),
  ];
}

/** Does writing (not the losses) need a teacher? */
export function writesWithTeacher(config: RolloutConfig): boolean {
  return writingKinds(config).some((kind) => kind === "skd" || kind === "sequence");
}

/** Does the student write, so that its weights must follow the training? */
export function usesStudent(config: RolloutConfig): boolean {
  return writingKinds(config).some((kind) => kind === "skd" || kind === "on-policy");
}

/** Are the data's answers trained on? Elsewhere they may be as long as they like. */
export function usesAnswers(config: RolloutConfig): boolean {
  return writingKinds(config).includes("supervised");
}
