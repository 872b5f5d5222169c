import { hash32 } from "@tandem/shared/numeric/hash32.js";
import type {
  DraftAnswer,
  DraftBlock,
  OpenSequence,
  SequenceRequest,
} from "@tandem/student-trainer/teacher/teacher-client.js";

type Verdict = Extract<DraftAnswer, { kind: "verdict" }>;

interface Interleaving {
  openSequence(request: SequenceRequest): OpenSequence;
}

/** A teacher whose answers go to the wrong sequences: every block is judged for what it is, behind the text of its own sequence, but its verdict
 * and signal are handed to the block of the same length that is judged next, and so on round. Nothing else changes: as many drafts are
 * judged, as many replaced, and every single answer is one that the teacher gave. */
export class ShufflingTeacher implements Interleaving {
  readonly #teacher: Interleaving;
  /** The last verdict for each length of block, not yet handed on. */
  readonly #waiting = new Map<number, Verdict>();

  constructor(teacher: Interleaving) {
    this.#teacher = teacher;
  }

  openSequence(request: SequenceRequest): OpenSequence {
    const kept: number[] = [];
    return {
      draft: async (block) => {
        const own = await this.#judge(request, kept, block);
        const others = this.#waiting.get(block.tokens.length) ?? own;
        this.#waiting.set(block.tokens.length, own);
        return handOver(others, { request, kept, block });
      },
      close: () => {},
    };
  }

  /** In a session of its own, since what this sequence keeps is not what the teacher would have kept. */
  async #judge(
    request: SequenceRequest,
    kept: readonly number[],
    block: DraftBlock,
  ): Promise<Verdict> {
    const session = this.#teacher.openSequence({
      ...request,
      prompt: Uint32Array.of(...request.prompt, ...kept),
      maxResponse: request.maxResponse - kept.length,
      rngKey: hash32([request.rngKey, kept.length]),
    });
    const answer = await session.draft({ ...block, start: 0, replacementsSeen: 0 });
    session.close();
    if (answer.kind === "stale") throw new Error("a first block cannot be stale");
    return answer;
  }
}

/** Another sequence's verdict as one on this block; what it keeps is added to `kept`. */
function handOver(
  verdict: Verdict,
  {
    request,
    kept,
    block,
  }: {
    readonly request: SequenceRequest;
    readonly kept: number[];
    readonly block: DraftBlock;
  },
): Verdict {
  const { accepted, replacement, signal } = verdict;
  const from = request.prompt.length + kept.length;
  kept.push(...block.tokens.subarray(0, accepted));
  if (replacement !== undefined) kept.push(replacement);
  const stopped = request.stopIds.includes(kept.at(-1) ?? -1);
  const full = kept.length === request.maxResponse;
  return {
    ...verdict,
    finish: stopped ? "stop" : full ? "length" : "none",
    ...(signal && { signal: { ...signal, from } }),
  };
}
