import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { z } from "zod";

import type { ConfiguredLoss } from "./loss-registry.js";

/** A teacher as a loss names it; undefined is the one of the row: that of its tag in the data, else `teacher:`. */
export type TeacherName = string | undefined;

/** Names of `teachers:`. They become parts of file and tensor names. */
export const teacherNameSchema = z
  .string()
  .regex(/^[A-Za-z][\w-]*$/, "a teacher's name is letters, digits, - and _, a letter first");

/** How a loss names its teachers, beside its own options. */
export const lossTeachersShape = {
  teacher: teacherNameSchema
    .optional()
    .describe("Name of one of teachers:; default: the row's teacher"),
  teachers: z
    .array(teacherNameSchema)
    .min(1)
    .optional()
    .describe("Names of several, for losses that mix their signals"),
};

/** The teachers of one loss, in its order; never empty.
 * @throws TandemError INVALID_ARGUMENT for a list where the loss takes one teacher, both spellings at once, a name twice, or options
 * for more or fewer teachers. */
export function teachersOfLoss(
  loss: Pick<ConfiguredLoss, "name" | "takesSeveralTeachers" | "perTeacher">,
  {
    teacher,
    teachers,
  }: { readonly teacher?: TeacherName; readonly teachers?: readonly string[] | undefined },
  field: string,
): readonly TeacherName[] {
  const fail = (message: string, option = "teachers"): never => {
    throw new TandemError("INVALID_ARGUMENT", `${field} (${loss.name}): ${message}`, {
      field: `${field}.${option}`,
    });
  };
  const { option, count } = loss.perTeacher ?? {};
  const named = teachers?.length ?? 1;
  if (count !== undefined && count !== named)
    fail(`${option} has ${count} numbers for ${named} teachers; give one each`, option);
  if (teachers === undefined) return [teacher];
  if (teacher !== undefined) fail("teacher and teachers are both given; leave one out");
  if (new Set(teachers).size < teachers.length)
    fail(`teachers names one twice: ${teachers.join(", ")}`);
  if (teachers.length > 1 && !loss.takesSeveralTeachers) {
    fail(
      `the loss takes one teacher, ${teachers.length} are named; give one loss per teacher, each with a weight`,
    );
  }
  return teachers;
}
