import type { RunSizes } from "../losses/model-sizes.js";
import type { OpenStudent } from "./open-student.js";
import type { OpenTeachers } from "./open-teachers.js";

/** The sizes of a run's models, for losses on hidden states; a run without teachers has the student's for theirs, which no loss asks for. */
export function runSizes({ config, tokenizer }: OpenStudent, teachers: OpenTeachers): RunSizes {
  const student = { layers: config.layers, width: config.hiddenSize };
  const named = [...teachers].flatMap(([name, { description }]) => {
    const size = { layers: description.layers, width: description.hiddenSize };
    return [[name, size] as const];
  });
  const teacher = named.find(([name]) => name === undefined) ?? named[0];
  return {
    vocabulary: tokenizer.vocabularySize,
    student,
    teacher: teacher?.[1] ?? student,
    named: Object.fromEntries(named.filter(([name]) => name !== undefined)),
  };
}
