import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { loadTokenizer, type Tokenizer } from "@tandem/shared/tokenizer/tokenizer.js";

import type { RunConfig } from "../config/run-config.js";
import { teachersInUse } from "../config/teachers-in-use.js";
import type { TeacherName } from "../losses/loss-teachers.js";
import type { RolloutTeacher, TeacherPool } from "../rollout/teacher-pool.js";
import type { TeacherDescription } from "../teacher/teacher-description.js";
import {
  TranslatingTeacher,
  type SpanMerge,
  type TranslationOptions,
} from "../teacher/translating-teacher.js";
import type { OpenStudent } from "./open-student.js";

/** The run's only teacher has another tokenizer than the student. */
export interface Translation {
  readonly name: TeacherName;
  readonly tokenizer: Tokenizer;
  readonly merge: SpanMerge;
}

/** Reads the teacher's tokenizer, if the configuration names one.
 * @throws TandemError NOT_FOUND, DATA_LOSS. */
export async function openTranslation(config: RunConfig): Promise<Translation | undefined> {
  for (const name of teachersInUse(config)) {
    const own = name === undefined ? config.teacher : config.teachers[name]!;
    if (own.tokenizer === undefined) continue;
    return { name, tokenizer: await loadTokenizer(own.tokenizer), merge: own.merge };
  }
  return undefined;
}

/** The tokenizer that was named must be the teacher's.
 * @throws TandemError FAILED_PRECONDITION. */
export function checkTranslation(
  { tokenizer }: Translation,
  { model, tokenizerFingerprint, vocabSize }: TeacherDescription,
): void {
  const same = tokenizer.fingerprint === tokenizerFingerprint;
  if (same && tokenizer.vocabularySize === vocabSize) return;
  throw new TandemError(
    "FAILED_PRECONDITION",
    `teacher "${model}" has not the tokenizer that was named for it (${tokenizer.vocabularySize} ids, ${tokenizer.fingerprint}; the teacher's has ${vocabSize}, ${tokenizerFingerprint}); name the directory of the model it serves`,
    { field: "teacher.tokenizer" },
  );
}

/** What turns the student's tokens into the teacher's. */
export function translationOptions(
  { tokenizer, merge }: Translation,
  student: Pick<OpenStudent, "tokenizer" | "stopIds">,
  { eosIds }: TeacherDescription,
): TranslationOptions {
  return {
    student: student.tokenizer,
    teacher: tokenizer,
    merge,
    stopIds: student.stopIds,
    teacherStopId: eosIds[0],
  };
}

/** The teacher as rollouts use it: scores are translated; it can't write with the student (`checkConfig`). */
export function translatedPool<
  T extends RolloutTeacher & { readonly description: TeacherDescription },
>(
  teachers: ReadonlyMap<TeacherName, T>,
  student: OpenStudent,
  translation: Translation | undefined,
): TeacherPool {
  if (translation === undefined) return teachers;
  const entries = [...teachers].map(([name, teacher]): [TeacherName, RolloutTeacher] => {
    const options = translationOptions(translation, student, teacher.description);
    const translating = new TranslatingTeacher(teacher, options);
    return [
      name,
      {
        score: (question) => translating.score(question),
        openSequence: (...given) => teacher.openSequence(...given),
        generate: (...given) => teacher.generate(...given),
      },
    ];
  });
  return new Map(entries);
}
