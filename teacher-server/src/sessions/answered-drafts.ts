import { hash32 } from "@tandem/shared/numeric/hash32.js";
import type { ValidDraft } from "../admission/valid-interleave.js";

type JudgedDraft = Pick<ValidDraft, "start" | "tokens" | "replacementsSeen">;

/** Words kept of a draft: how long it was (0: no draft), the replacements it had seen, and two hashes of its tokens. */
const WORDS = 4;
/** Any two that differ, so that drafts that look alike to one look different to the other. */
const SEEDS = [0, 0x9747b28c] as const;

/** The drafts of a sequence that have a verdict, by their start: enough to know one again that is sent again. What that takes is a function of how long
 * the response may become, not of how many drafts it was written in or of what they asked for, so a sequence that was let in can always be written to its end. */
export class AnsweredDrafts {
  readonly #words: Uint32Array;

  constructor(maxResponse: number) {
    this.#words = new Uint32Array(WORDS * maxResponse);
  }

  static bytesOf(maxResponse: number): number {
    return WORDS * 4 * maxResponse;
  }

  /** The draft's start lies within the response. */
  add(draft: JudgedDraft): void {
    this.#words.set(wordsOf(draft), WORDS * draft.start);
  }

  /** Whether this very draft (start, tokens, what it had seen) has a verdict. */
  has(draft: JudgedDraft): boolean {
    const at = WORDS * draft.start;
    return wordsOf(draft).every((word, i) => this.#words[at + i] === word);
  }
}

function wordsOf({ tokens, replacementsSeen }: JudgedDraft): readonly number[] {
  const [first, second] = SEEDS.map((seed) => hash32([...tokens], seed)) as [number, number];
  return [tokens.length, replacementsSeen, first, second];
}
