import type { ModelSize, RunSizes } from "../losses/model-sizes.js";
import { matchTokens } from "../teacher/translating-teacher.js";
import type { TeacherDescription } from "../teacher/teacher-description.js";
import { translationOptions, type Translation } from "./open-translation.js";
import type { OpenStudent } from "./open-student.js";
import type { OpenTeachers } from "./open-teachers.js";

/** The sizes of a run's models, for losses that depend on them; a run without teachers has the student's for theirs, which no loss asks
 * for. */
export function runSizes(
  student: OpenStudent,
  teachers: OpenTeachers,
  translation?: Translation,
): RunSizes {
  const { config, tokenizer } = student;
  const own = {
    layers: config.layers,
    width: config.hiddenSize,
    queryWidth: config.heads * config.headDim,
    keyWidth: config.kvHeads * config.headDim,
  };
  const sizeOf = (description: TeacherDescription): ModelSize => {
    const { layers, hiddenSize: width, queryWidth, keyWidth, vocabSize: vocabulary } = description;
    if (translation === undefined) return { layers, width, queryWidth, keyWidth };
    const match = matchTokens(translationOptions(translation, student, description));
    return { layers, width, translation: { ...match, vocabulary } };
  };
  const sizes = [...teachers].map(
    ([name, teacher]) => [name, sizeOf(teacher.description)] as const,
  );
  const first = sizes.find(([name]) => name === undefined) ?? sizes[0];
  return {
    vocabulary: tokenizer.vocabularySize,
    student: own,
    teacher: first?.[1] ?? own,
    named: Object.fromEntries(sizes.filter(([name]) => name !== undefined)),
  };
}
