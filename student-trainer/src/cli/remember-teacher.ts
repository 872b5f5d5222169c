import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { writeFileAtomic } from "@tandem/shared/checkpoint/write-file-atomic.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";

import type { TeacherName } from "../losses/loss-teachers.js";
import type { TeacherDescription } from "../teacher/teacher-description.js";

type Remembered = Pick<TeacherDescription, "model" | "weightsDigest" | "numericsId">;

export interface RememberOptions {
  /** Of `teachers:`; undefined: the one of `teacher:`. */
  readonly name: TeacherName;
  readonly description: TeacherDescription;
  readonly note: (text: string) => void;
}

/** Writes `teacher.json` (or `teacher.NAME.json`) into a run directory; a run that goes on compares with what is there.
 * @throws TandemError FAILED_PRECONDITION when the run began with a teacher of other weights. */
export async function rememberTeacher(
  runDir: string,
  { name, description, note }: RememberOptions,
): Promise<void> {
  const { model, weightsDigest, numericsId } = description;
  const option = name === undefined ? "teacher" : `teachers.${name}`;
  const path = join(runDir, name === undefined ? "teacher.json" : `teacher.${name}.json`);
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text !== undefined) {
    const known = JSON.parse(text) as Partial<Remembered>;
    if (known.weightsDigest !== weightsDigest) {
      throw new TandemError(
        "FAILED_PRECONDITION",
        `the run in ${runDir} began with teacher ${known.model} (${known.weightsDigest}), the one at ${option}.address is ${model} (${weightsDigest}); start that one, or a new run`,
        { field: `${option}.address` },
      );
    }
    if (known.numericsId !== numericsId) {
      note(
        `the teacher computes otherwise than before (${numericsId}, was ${known.numericsId}): results may differ in their last bits`,
      );
    }
  }
  const remembered: Remembered = { model, weightsDigest, numericsId };
  await writeFileAtomic(path, [Buffer.from(`${JSON.stringify(remembered, undefined, 2)}\n`)]);
}
