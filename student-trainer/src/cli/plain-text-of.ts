import { TandemError } from "@tandem/shared/errors/tandem-error.js";

import type { RunConfig } from "../config/run-config.js";
import { distilsPlainText } from "../data/plain-text-config.js";
import type { TeacherName } from "../losses/loss-teachers.js";
import { plainTextLosses } from "../losses/plain-text-losses.js";
import { scoreRollouts } from "../rollout/score-rollouts.js";
import type { TeacherPool } from "../rollout/teacher-pool.js";
import { checkTeacherLimits } from "../teacher/check-limits.js";
import type { TeacherDescription } from "../teacher/teacher-description.js";
import type { PlainText } from "../training/trainer-options.js";

/** The run's second stream of text, with a teacher's signals where one has a share. */
export function plainTextOf(
  { data: { plainText }, training: { seed } }: RunConfig,
  pieces: readonly Uint32Array[],
  teachers: TeacherPool,
): PlainText | undefined {
  if (pieces.length === 0) return undefined;
  const { rows, weight, distillation } = plainText;
  const own = { pieces, rows, weight, seed };
  if (!distilsPlainText(plainText)) return own;
  const { teacher } = distillation;
  const requirement = plainTextLosses(distillation).requirement(0);
  const asked = { ...requirement, teachers, engine: undefined, concurrency: rows, runSeed: seed };
  return {
    ...own,
    distillation,
    score: async (texts, abort) => {
      const tagged = teacher === undefined ? texts : texts.map((text) => ({ ...text, teacher }));
      return (await scoreRollouts(tagged, { ...asked, abort })).rollouts;
    },
  };
}

/** Compares what the plain text needs with what the models have, if the teacher is the one that is asked about it.
 * @throws TandemError INVALID_ARGUMENT naming the option and the limit. */
export function checkPlainText(
  { data: { plainText }, rollout }: RunConfig,
  {
    name,
    description,
    vocabulary,
  }: {
    readonly name: TeacherName;
    readonly description: TeacherDescription;
    readonly vocabulary: number;
  },
): void {
  const { distillation, length } = plainText;
  if (!distilsPlainText(plainText) || name !== distillation.teacher) return;
  const field = "data.plainText.distillation";
  if (!distillation.dense && distillation.topK > vocabulary) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `${field}.topK: a list of ${distillation.topK} ids exceeds the vocabulary of ${vocabulary}; set it to at most ${vocabulary}, or dense: true`,
      { field: `${field}.topK`, limit: vocabulary },
    );
  }
  const losses = plainTextLosses(distillation);
  checkTeacherLimits(description, {
    requirements: [losses.requirement(0)],
    losses: losses.asking.map((loss) => ({ ...loss, field })),
    rollout,
    drafts: false,
    questionRows: length,
    longestRow: length,
    lengthField: "data.plainText.length",
  });
}
