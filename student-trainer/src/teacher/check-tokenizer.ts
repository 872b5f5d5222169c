import { compareManifests } from "@tandem/shared/tokenizer/fingerprint.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";

import type { TeacherDescription } from "./teacher-description.js";

/** The student's side of the handshake. */
export interface StudentTokenizer {
  readonly fingerprint: string;
  /** See `TokenizerIdentity`; with it a difference can be named. */
  readonly manifest: string;
  /** The vocabulary's entry of an id. */
  readonly entry: (id: number) => string | undefined;
  /** Largest tokenizer id + 1. */
  readonly vocabularySize: number;
  /** Rows of the student's embedding; at least vocabularySize. */
  readonly paddedVocabularySize: number;
}

/** Refuses a teacher that counts tokens differently. Embeddings padded to different sizes are fine: both heads are cut to the tokenizer's size.
 * @throws TandemError FAILED_PRECONDITION naming the difference. */
export function checkTokenizer(student: StudentTokenizer, teacher: TeacherDescription): void {
  const fail = (difference: string) => {
    throw new TandemError(
      "FAILED_PRECONDITION",
      `student and teacher "${teacher.model}" do not share a tokenizer: ${difference}; take a student made for this teacher (student-trainer init --from TEACHER)`,
      { field: "student.model" },
    );
  };
  const differences = () => {
    if (teacher.tokenizerManifest === "") return [];
    return compareManifests(student.manifest, teacher.tokenizerManifest, student.entry);
  };
  const named = differences().join("; ");
  if (student.vocabularySize !== teacher.vocabSize) {
    const sizes = `the student's has ${student.vocabularySize} ids, the teacher's ${teacher.vocabSize}`;
    fail(named === "" ? sizes : named);
  }
  if (student.fingerprint !== teacher.tokenizerFingerprint) {
    const fingerprints = `(fingerprints ${student.fingerprint} and ${teacher.tokenizerFingerprint})`;
    const unnamed =
      "equally many ids, but vocabulary, merges, added tokens or normalisation differ";
    fail(`${named === "" ? unnamed : named} ${fingerprints}`);
  }
  if (student.paddedVocabularySize < student.vocabularySize) {
    fail(
      `the student's embedding has ${student.paddedVocabularySize} rows for ${student.vocabularySize} ids`,
    );
  }
}
