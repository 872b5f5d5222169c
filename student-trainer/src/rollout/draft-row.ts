import type { StepRow, StepRowResult } from "@tandem/shared/inference/step.js";
import type { SamplingParams } from "@tandem/shared/sampling/sampling-params.js";
import { NO_SIGNAL, type TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";
import { concatSignals } from "@tandem/shared/wire/concat-signals.js";
import { invariant } from "@tandem/shared/errors/invariant.js";

import type { DraftBlock, VerdictAnswer } from "../teacher/teacher-sequence.js";
import { AUTHOR, type Rollout } from "./rollout.js";
import { rngKeyOfOrder, type RolloutOrder } from "./rollout-order.js";

export interface DraftSettings {
  readonly runSeed: number;
  /** γ: drafts per block. */
  readonly blockLength: number;
  /** Blocks the student may write beyond an unanswered one, assuming it is accepted. */
  readonly draftAhead: number;
  readonly maxResponse: number;
  readonly stopIds: ReadonlySet<number>;
  readonly sampling: SamplingParams;
  /** How many of its own best ids the student sends along per position; 0 = none. */
  readonly studentTopK: number;
}

const NO_TOKENS = new Uint32Array(0);

/** One sequence while student and teacher write it. Positions are response-relative. Three marks rise through its tokens:
 * kept (judged by the teacher) ≤ sent (in unanswered blocks) ≤ drafted. Pure: no model, no stream. */
export class DraftRow {
  readonly order: RolloutOrder;
  readonly cache: number;
  readonly #settings: DraftSettings;
  readonly #tokens: Uint32Array;
  readonly #topIds: (Uint32Array | undefined)[] = [];
  readonly #authors: Uint8Array;
  readonly #ranks: Int32Array;
  readonly #rejected: Int32Array;
  readonly #signals: TeacherSignal[] = [];
  /** Positions of prompt and response whose keys and values the student's slot holds. */
  #past = 0;
  #kept = 0;
  #sent = 0;
  #drafted = 0;
  #unanswered = 0;
  #replacements = 0;
  #judged = 0;
  #accepted = 0;
  #computed = 0;
  #finish: "stop" | "length" | undefined;

  constructor(order: RolloutOrder, cache: number, settings: DraftSettings) {
    this.order = order;
    this.cache = cache;
    this.#settings = settings;
    this.#tokens = new Uint32Array(order.prompt.length + settings.maxResponse);
    this.#tokens.set(order.prompt);
    this.#authors = new Uint8Array(settings.maxResponse);
    this.#ranks = new Int32Array(settings.maxResponse).fill(-1);
    this.#rejected = new Int32Array(settings.maxResponse).fill(-1);
  }

  get isFinished(): boolean {
    return this.#finish !== undefined;
  }

  /** May the student write on: is there room, no stop, and not too much unanswered? */
  get canDraft(): boolean {
    return (
      this.#finish === undefined &&
      this.#unanswered <= this.#settings.draftAhead &&
      !this.#endsAt(this.#drafted)
    );
  }

  /** Are there unanswered blocks, so that what is drafted now rests on a guess? */
  get isGuessing(): boolean {
    return this.#unanswered > 0;
  }

  /** The next student step: everything its slot lacks, and behind it one token, or all that the block lacks. */
  toStepRow(): StepRow {
    const { sampling, runSeed, maxResponse, blockLength, studentTopK } = this.#settings;
    const blockEnd = Math.min(this.#sent + blockLength, maxResponse);
    const length = this.#promptLength + this.#drafted;
    const tokens = this.#tokens.slice(this.#past, length);
    return {
      cache: this.cache,
      past: this.#past,
      tokens,
      maxLength: this.#promptLength + maxResponse,
      head: {
        first: tokens.length - 1,
        targets: new Uint32Array(0),
        spec: studentTopK === 0 ? NO_SIGNAL : { ...NO_SIGNAL, topK: studentTopK },
        random: {
          runSeed,
          rngKey: rngKeyOfOrder(this.order),
          firstPosition: this.#drafted,
          stream: "draft",
        },
        sample: sampling,
        ...(studentTopK === 0 && { ahead: blockEnd - this.#drafted - 1 }),
      },
    };
  }

  /** Takes the drawn tokens; the block to send when it is complete. */
  takeTokens({ sampled, ahead = NO_TOKENS, signal }: StepRowResult): DraftBlock | undefined {
    invariant(sampled !== undefined, "a drafting step draws a token");
    this.#topIds[this.#drafted] = signal?.topIds;
    for (const token of [sampled, ...ahead]) {
      this.#tokens[this.#promptLength + this.#drafted++] = token;
      if (this.#endsAt(this.#drafted)) break;
    }
    this.#past = this.#promptLength + this.#drafted - 1;
    const length = this.#drafted - this.#sent;
    if (length < this.#settings.blockLength && !this.#endsAt(this.#drafted)) return undefined;
    const start = this.#sent;
    this.#sent = this.#drafted;
    this.#unanswered++;
    return {
      start,
      replacementsSeen: this.#replacements,
      tokens: this.#response(start, this.#drafted),
      ...this.#atParts(start, this.#drafted),
    };
  }

  /** Takes the verdict on the oldest unanswered block. */
  takeVerdict(block: DraftBlock, verdict: VerdictAnswer): void {
    invariant(block.start === this.#kept, "verdicts come in order");
    const { accepted, replacement } = verdict;
    this.#unanswered--;
    this.#judged += verdict.draftRanks.length;
    this.#accepted += accepted;
    this.#computed += verdict.computedPositions;
    if (verdict.signal !== undefined) this.#signals.push(verdict.signal);
    this.#ranks.set(verdict.draftRanks.subarray(0, accepted), this.#kept);
    this.#authors.fill(AUTHOR.student, this.#kept, this.#kept + accepted);
    this.#kept += accepted;
    if (replacement !== undefined) this.#replace(replacement);
    if (verdict.finish !== "none") this.#finish = verdict.finish;
  }

  #replace(token: number): void {
    const at = this.#kept++;
    this.#rejected[at] = this.#tokens[this.#promptLength + at] as number;
    this.#tokens[this.#promptLength + at] = token;
    this.#authors[at] = AUTHOR.teacher;
    this.#replacements++;
    this.#unanswered = 0;
    this.#sent = this.#kept;
    this.#drafted = this.#kept;
    // The slot's entry at the replaced position belongs to the rejected token.
    this.#past = Math.min(this.#past, this.#promptLength + at);
  }

  /** The finished rollout. */
  toRollout(): Rollout {
    invariant(this.#finish !== undefined, "only a finished row is a rollout");
    const { row, sample, epoch, teacher, prompt, teacherPrompt } = this.order;
    const count = this.#kept;
    const atIds = this.#atParts(0, count).atIds;
    const ranks = this.#ranks.slice(0, count);
    const signal = this.#signals.length === 0 ? undefined : concatSignals(this.#signals);
    if (signal?.rank !== undefined) ranks.set(signal.rank);
    return {
      row,
      sample,
      epoch,
      ...(teacher === undefined ? {} : { teacher }),
      prompt,
      ...(teacherPrompt === undefined ? {} : { teacherPrompt }),
      response: this.#response(0, count),
      authors: this.#authors.slice(0, count),
      finish: this.#finish,
      // The teacher may have seen a prompt of another length.
      ...(signal === undefined ? {} : { signal: { ...signal, from: prompt.length } }),
      ...(atIds === undefined ? {} : { atIds }),
      ranks,
      rejected: this.#rejected.slice(0, count),
      stats: {
        judged: this.#judged,
        accepted: this.#accepted,
        replaced: this.#replacements,
        computedPositions: this.#computed,
      },
    };
  }

  get #promptLength(): number {
    return this.order.prompt.length;
  }

  #response(from: number, to: number): Uint32Array {
    return this.#tokens.slice(this.#promptLength + from, this.#promptLength + to);
  }

  /** Does the response end behind its first `count` tokens? */
  #endsAt(count: number): boolean {
    if (count >= this.#settings.maxResponse) return true;
    const last = this.#tokens[this.#promptLength + count - 1] as number;
    return count > 0 && this.#settings.stopIds.has(last);
  }

  #atParts(from: number, to: number): { atOffsets?: Uint32Array; atIds?: Uint32Array } {
    const k = this.#settings.studentTopK;
    if (k === 0) return {};
    const atOffsets = Uint32Array.from({ length: to - from + 1 }, (_, r) => r * k);
    const atIds = new Uint32Array((to - from) * k);
    for (let r = 0; r < to - from; r++) {
      const ids = this.#topIds[from + r];
      invariant(ids?.length === k, "the student's own list was asked for at every position");
      atIds.set(ids, r * k);
    }
    return { atOffsets, atIds };
  }
}
