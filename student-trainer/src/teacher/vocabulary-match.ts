import { UNMATCHED } from "../losses/aligned-signal.js";
import type { SpellingTokenizer } from "./token-spans.js";

export interface CountedTokenizer extends SpellingTokenizer {
  readonly vocabularySize: number;
}

/** Tokens of two vocabularies that stand for the same bytes. */
export interface VocabularyMatch {
  /** u32 [V_T]: the student's id of each of the teacher's, or `UNMATCHED`. One to one. */
  readonly toStudent: Uint32Array;
  /** Of the teacher's ids, how many are matched. */
  readonly matched: number;
  /** The student's ids without a counterpart, rising. */
  readonly studentOnly: Uint32Array;
}

/** Matches by bytes, of several tokens with equal bytes the lowest ids. Special tokens have none and stay unmatched, but for `pairs`: ids of
 * the teacher and of the student that mean the same (ends of text). */
export function matchVocabularies(
  student: CountedTokenizer,
  teacher: CountedTokenizer,
  pairs: readonly (readonly [teacher: number, student: number])[] = [],
): VocabularyMatch {
  const toStudent = new Uint32Array(teacher.vocabularySize).fill(UNMATCHED);
  const free = new Map<string, number>();
  for (let id = student.vocabularySize - 1; id >= 0; id--) {
    const bytes = student.bytesOf(id);
    if (bytes.length > 0) free.set(keyOf(bytes), id);
  }
  for (const [other, own] of pairs) toStudent[other] = own;
  const used = new Set(pairs.map(([, own]) => own));
  for (let id = 0; id < teacher.vocabularySize; id++) {
    const key = keyOf(teacher.bytesOf(id));
    const own = free.get(key);
    if (own === undefined || used.has(own) || toStudent[id] !== UNMATCHED) continue;
    toStudent[id] = own;
    used.add(own);
  }
  const studentOnly = Array.from({ length: student.vocabularySize }, (_, id) => id).filter(
    (id) => !used.has(id),
  );
  return { toStudent, matched: used.size, studentOnly: Uint32Array.from(studentOnly) };
}

function keyOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}
