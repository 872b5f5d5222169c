import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { invariant } from "@tandem/shared/errors/invariant.js";
import type { DraftVerdict } from "@tandem/shared/inference/step.js";
import { cutAtStop, type Finish } from "@tandem/shared/sampling/stops.js";
import type { ValidDraft, ValidOpen } from "../admission/valid-interleave.js";
import type { HeadWish } from "../scheduler/engine-step.js";
import { AnsweredDrafts } from "./answered-drafts.js";
import { truncateDraft } from "./truncate-draft.js";

/** What a session says about the draft at the head of its queue. */
export type DraftStep =
  /** Must go through the model. */
  | { readonly kind: "compute"; readonly draft: ValidDraft; readonly work: DraftWork }
  | { readonly kind: "stale"; readonly draft: ValidDraft }
  | { readonly kind: "error"; readonly draft: ValidDraft; readonly error: TandemError };

export interface DraftWork {
  /** u32: prompt, response before the draft, and all but the last draft token. */
  readonly tokens: Uint32Array;
  readonly headFrom: number;
  readonly head: HeadWish;
  /** The answer to this draft was given before. */
  readonly replay: boolean;
}

export interface SettledDraft {
  readonly draft: ValidDraft;
  readonly verdict: DraftVerdict;
  readonly finish: Finish;
  /** Positions of the cache that hold kept tokens now. */
  readonly cachedLength: number;
}

interface Computing {
  readonly draft: ValidDraft;
  readonly tokens: Uint32Array;
  readonly known: number;
  readonly replay: boolean;
}

/** One sequence that student and teacher write together: what is kept, which drafts wait, and what each of them may still mean. Pure: no clock, no model.
 *
 * Drafts are answered in their order. One that was sent before a replacement became known is stale; one that was answered before is computed again from
 * the same tokens with the same random numbers, and so gets the same verdict. */
export class InterleaveSession {
  readonly open: ValidOpen;
  /** Prompt and response; `#length` of them are known. */
  readonly #tokens: Uint32Array;
  #length: number;
  /** Absent until the first draft of a session that was opened with a response: the client counted the replacements so far. */
  #replacements: number | undefined;
  #finish: Finish;
  #queue: ValidDraft[] = [];
  #computing: Computing | undefined;
  readonly #answered: AnsweredDrafts;

  constructor(open: ValidOpen) {
    this.open = open;
    this.#tokens = new Uint32Array(open.prompt.length + open.maxResponse);
    this.#tokens.set(open.prompt);
    this.#tokens.set(open.response, open.prompt.length);
    this.#length = open.prompt.length + open.response.length;
    this.#replacements = open.response.length === 0 ? 0 : undefined;
    this.#finish = finishOf(open);
    this.#answered = new AnsweredDrafts(open.maxResponse);
  }

  /** Response tokens kept so far. */
  get responseLength(): number {
    return this.#length - this.open.prompt.length;
  }

  get finish(): Finish {
    return this.#finish;
  }

  get waitingDrafts(): number {
    return this.#queue.length + (this.#computing === undefined ? 0 : 1);
  }

  /** Kept tokens of the response, a copy. */
  response(): Uint32Array {
    return this.#tokens.slice(this.open.prompt.length, this.#length);
  }

  /** u32: what the first draft will find in the cache if it is filled before: all known tokens but the last, whose law is the first one asked for. */
  get tokensAhead(): Uint32Array {
    return this.#tokens.slice(0, this.#length - 1);
  }

  offer(draft: ValidDraft): void {
    this.#queue.push(draft);
  }

  /** What to do with the next draft; undefined when there is none or one is being computed. */
  next(): DraftStep | undefined {
    if (this.#computing !== undefined) return undefined;
    const draft = this.#queue.shift();
    if (draft === undefined) return undefined;
    if (this.#answered.has(draft)) return this.#compute(draft, true);
    this.#replacements ??= draft.replacementsSeen;
    if (this.#finish !== "none" || draft.replacementsSeen < this.#replacements)
      return { kind: "stale", draft };
    const error = this.#refusal(draft, this.#replacements);
    return error === undefined ? this.#compute(draft, false) : { kind: "error", draft, error };
  }

  /** Takes in the verdict on the draft being computed. */
  settle(verdict: DraftVerdict): SettledDraft {
    const computing = this.#computing;
    invariant(computing !== undefined, "a verdict arrived for no draft");
    this.#computing = undefined;
    const { draft, known, tokens } = computing;
    const judged = tokens.length - known + 1;
    const kept = [...draft.tokens.subarray(0, verdict.accepted)];
    if (verdict.replacement !== undefined) kept.push(verdict.replacement);
    const room = this.open.prompt.length + this.open.maxResponse - known;
    const { finish } = cutAtStop(kept, this.open.stopIds, room);
    if (!computing.replay) this.#keep(draft, kept, verdict, finish);
    return { draft, verdict, finish, cachedLength: known + Math.min(verdict.accepted, judged - 1) };
  }

  /** The draft being computed will not be judged. It and those behind it, which assumed that it was accepted, leave the queue; they are returned in order. */
  abandon(): readonly ValidDraft[] {
    const first = this.#computing?.draft;
    this.#computing = undefined;
    const queue = this.#queue;
    this.#queue = [];
    return first === undefined ? queue : [first, ...queue];
  }

  #keep(draft: ValidDraft, kept: readonly number[], verdict: DraftVerdict, finish: Finish): void {
    this.#tokens.set(kept, this.#length);
    this.#length += kept.length;
    if (verdict.replacement !== undefined) this.#replacements = (this.#replacements ?? 0) + 1;
    this.#finish = finish;
    this.#answered.add(draft);
  }

  #refusal(draft: ValidDraft, replacements: number): TandemError | undefined {
    if (draft.replacementsSeen > replacements) {
      return new TandemError(
        "FAILED_PRECONDITION",
        `the draft has seen ${draft.replacementsSeen} replacements, but sequence ${draft.sequence} had ${replacements}; count verdicts with a replacement`,
        { field: "drafts.replacements_seen", limit: replacements },
      );
    }
    if (draft.start !== this.responseLength) {
      return new TandemError(
        "FAILED_PRECONDITION",
        `the draft starts at ${draft.start}, but ${this.responseLength} response tokens of sequence ${draft.sequence} are kept; drafts follow each other without gaps, and an answered one is repeated token by token`,
        { field: "drafts.start", limit: this.responseLength },
      );
    }
    return undefined;
  }

  #compute(draft: ValidDraft, replay: boolean): DraftStep {
    const { open } = this;
    const judged = truncateDraft(draft, open.stopIds, open.maxResponse - draft.start);
    const known = open.prompt.length + draft.start;
    const tokens = new Uint32Array(known + judged.tokens.length - 1);
    tokens.set(this.#tokens.subarray(0, known));
    tokens.set(judged.tokens.subarray(0, -1), known);
    this.#computing = { draft, tokens, known, replay };
    const head: HeadWish = {
      targets: judged.tokens,
      spec: open.signal.spec,
      ...(judged.taus && { taus: judged.taus }),
      ...(judged.atOffsets && judged.atIds && { atOffsets: judged.atOffsets, atIds: judged.atIds }),
      random: { runSeed: open.runSeed, rngKey: open.rngKey, firstPosition: draft.start },
      verify: { rule: open.rule, sampling: open.sampling },
    };
    return { kind: "compute", draft, work: { tokens, headFrom: known - 1, head, replay } };
  }
}

function finishOf(open: ValidOpen): Finish {
  const last = open.response.at(-1);
  if (last !== undefined && open.stopIds.has(last)) return "stop";
  return open.response.length === open.maxResponse ? "length" : "none";
}
