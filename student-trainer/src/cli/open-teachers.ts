import { teachersInUse } from "../config/teachers-in-use.js";
import type { RunConfig } from "../config/run-config.js";
import type { TeacherName } from "../losses/loss-teachers.js";
import type { StudentTokenizer } from "../teacher/check-tokenizer.js";
import type { TeacherClient } from "../teacher/teacher-client.js";
import type { Translation } from "./open-translation.js";
import { openTeacher } from "./open-teacher.js";

/** The teachers of a run, by the names its configuration gives them; undefined is the one of `teacher:`. */
export type OpenTeachers = ReadonlyMap<TeacherName, TeacherClient>;

export interface OpenTeachersOptions {
  readonly config: RunConfig;
  readonly student: StudentTokenizer;
  readonly note: (text: string) => void;
  readonly abort?: AbortSignal;
  /** Of the run's teacher, where it has another tokenizer. */
  readonly translation?: Translation | undefined;
  /** Which of them; default: all that the run uses. */
  readonly names?: readonly TeacherName[];
}

/** Connects to teachers, each of which must share the student's tokenizer or have the one that was named for it. All or none stay open.
 * @throws TandemError UNAVAILABLE, FAILED_PRECONDITION, INVALID_ARGUMENT for a teacher that is not configured. */
export async function openTeachers(options: OpenTeachersOptions): Promise<OpenTeachers> {
  const { config, student, note, abort, translation } = options;
  const opened = new Map<TeacherName, TeacherClient>();
  try {
    for (const name of options.names ?? teachersInUse(config)) {
      const own = name === undefined ? config.teacher : config.teachers[name]!;
      const say = name === undefined ? note : (text: string) => note(`${name}: ${text}`);
      opened.set(name, await openTeacher(own, { student, note: say, name, abort, translation }));
    }
    return opened;
  } catch (error) {
    closeTeachers(opened);
    throw error;
  }
}

export function closeTeachers(teachers: OpenTeachers): void {
  for (const teacher of teachers.values()) teacher.close();
}
