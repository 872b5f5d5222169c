import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { checkTokenizer } from "@tandem/student-trainer/teacher/check-tokenizer.js";
import type { TeacherDescription } from "@tandem/student-trainer/teacher/teacher-description.js";

const TEACHER = {
  model: "t",
  vocabSize: 151_665,
  paddedVocabSize: 152_064,
  tokenizerFingerprint: "sha256:a",
  tokenizerManifest: "vocabulary 151665\nids 0 aa\nids 256 bb\n",
} as TeacherDescription;
const STUDENT = {
  fingerprint: "sha256:a",
  manifest: "vocabulary 151665\nids 0 aa\nids 256 bb\n",
  entry: (id: number) => `piece ${id}`,
  vocabularySize: 151_665,
  paddedVocabularySize: 151_936,
};

describe("checkTokenizer", () => {
  it("accepts embeddings padded to different sizes", () => {
    checkTokenizer(STUDENT, TEACHER);
    checkTokenizer({ ...STUDENT, paddedVocabularySize: 151_665 }, TEACHER);
  });

  for (const [what, student, message] of [
    ["another vocabulary size", { vocabularySize: 32_000 }, /32000 ids, the teacher's 151665/],
    ["another fingerprint", { fingerprint: "sha256:b" }, /sha256:b and sha256:a/],
    [
      "other pieces",
      { fingerprint: "sha256:b", manifest: "vocabulary 151665\nids 0 aa\nids 256 cc\n" },
      /other pieces among ids 256 to 511 \(id 256 is "piece 256" here\) \(fingerprints/,
    ],
    ["an embedding that is too small", { paddedVocabularySize: 100 }, /100 rows/],
  ] as const) {
    it(`refuses ${what} and names the difference`, () => {
      assert.throws(() => checkTokenizer({ ...STUDENT, ...student }, TEACHER), {
        code: "FAILED_PRECONDITION",
        message,
      });
    });
  }
});
