import type { DescribeResponse__Output } from "@tandem/proto/gen/tandem/v1/DescribeResponse.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";

/** What the teacher said it is. */
export type TeacherDescription = DescribeResponse__Output;

/** What two servers must have in common to be replicas of one teacher: only then every answer has the same bits, whoever gives it. */
const IDENTITY = [
  ["weightsDigest", "weights"],
  ["numericsId", "numerics"],
  ["tokenizerFingerprint", "tokenizer"],
  ["vocabSize", "vocabulary"],
] as const;

/** Refuses a server that would answer otherwise than the one the run began with.
 * @throws TandemError FAILED_PRECONDITION naming each difference. */
export function assertSameTeacher(
  known: TeacherDescription,
  answer: TeacherDescription,
  address: string,
): void {
  const differences = IDENTITY.flatMap(([field, name]) =>
    known[field] === answer[field] ? [] : [`${name} ${answer[field]} instead of ${known[field]}`],
  );
  if (differences.length === 0) return;
  throw new TandemError(
    "FAILED_PRECONDITION",
    `teacher ${address} (${answer.model}) is not the one the run began with (${known.model}): ${differences.join(", ")}; serve the same model with the same build and options there, or take it off teacher.address`,
    { field: "teacher.address" },
  );
}
