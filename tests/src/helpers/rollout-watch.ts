import type { InterleavingTeacher } from "@tandem/student-trainer/rollout/interleave-rows.js";

export interface TeacherCounts {
  /** Drafts sent so far, blocks of them unanswered, and tokens of answered blocks behind their first rejected one. */
  drafts: number;
  unanswered: number;
  behindRejection: number;
}

/** A teacher that counts what passes, and tells of every draft as soon as it is sent. */
export function watchTeacher(
  teacher: InterleavingTeacher,
  onDraft: (counts: TeacherCounts) => void = () => undefined,
): { readonly teacher: InterleavingTeacher; readonly counts: TeacherCounts } {
  const counts: TeacherCounts = { drafts: 0, unanswered: 0, behindRejection: 0 };
  return {
    counts,
    teacher: {
      openSequence(request) {
        const sequence = teacher.openSequence(request);
        return {
          close: () => sequence.close(),
          async draft(block) {
            counts.drafts++;
            counts.unanswered++;
            const pending = sequence.draft(block);
            onDraft(counts);
            const answer = await pending.finally(() => counts.unanswered--);
            if (answer.kind === "verdict") {
              counts.behindRejection += block.tokens.length - answer.draftRanks.length;
            }
            return answer;
          },
        };
      },
    },
  };
}
