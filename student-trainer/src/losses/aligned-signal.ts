import type { TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";

/** An id of the teacher that the student's vocabulary has no token for; a position that belongs to no run. */
export const UNMATCHED = 0xffff_ffff;

/** How the positions of a response hang together in runs that both tokenizers end at the same byte. */
export interface TokenSpans {
  /** u32 [n]: the number of the position's run; `UNMATCHED` behind the last one. */
  readonly run: Uint32Array;
  /** u8 [n]: 1 where the law of its run stands, once per run. */
  readonly bears: Uint8Array;
  /** f32 [n], at those: log of the teacher's probability of the run's other tokens. */
  readonly others: Float32Array;
}

/** The signal of a teacher with another tokenizer, row by row of the student's tokens: `topIds` are the student's ids, `UNMATCHED` where it
 * has none for the teacher's. Rows that bear no law hold zeros. */
export interface AlignedSignal extends TeacherSignal {
  readonly spans: TokenSpans;
}

/** Of a signal that was aligned; undefined where both count tokens alike. */
export function spansOf(signal: TeacherSignal | undefined): TokenSpans | undefined {
  return (signal as Partial<AlignedSignal> | undefined)?.spans;
}
