import { TandemError } from "@tandem/shared/errors/tandem-error.js";

import type { TeacherName } from "../losses/loss-teachers.js";
import type { TeacherClient } from "../teacher/teacher-client.js";

/** The part of the teacher's client that rollouts use. */
export type RolloutTeacher = Pick<TeacherClient, "score" | "openSequence" | "generate">;

/** Teachers by name; undefined is the one of `teacher:`. */
export type TeacherPool<T = RolloutTeacher> = ReadonlyMap<TeacherName, T>;

/** @throws TandemError FAILED_PRECONDITION when the run was not opened with that teacher. */
export function teacherNamed<T>(pool: TeacherPool<T>, name: TeacherName): T {
  const teacher = pool.get(name);
  if (teacher !== undefined) return teacher;
  throw name === undefined
    ? new TandemError("FAILED_PRECONDITION", "the run needs a teacher; set teacher.address", {
        field: "teacher.address",
      })
    : new TandemError(
        "FAILED_PRECONDITION",
        `the run needs teacher "${name}"; configure teachers.${name}`,
        {
          field: `teachers.${name}`,
        },
      );
}
