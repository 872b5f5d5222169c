import { performance } from "node:perf_hooks";

import type { Draft } from "@tandem/proto/gen/tandem/v1/Draft.js";
import type { Open } from "@tandem/proto/gen/tandem/v1/Open.js";
import type { SignalFrame__Output } from "@tandem/proto/gen/tandem/v1/SignalFrame.js";
import type { Verdict__Output } from "@tandem/proto/gen/tandem/v1/Verdict.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { AcceptanceRule } from "@tandem/shared/sampling/acceptance.js";
import type { SamplingParams } from "@tandem/shared/sampling/sampling-params.js";
import type { Finish } from "@tandem/shared/sampling/stops.js";
import { u32FromBytes, u32ToBytes } from "./u32-bytes.js";
import type { SignalSpec, TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";

import { responsePositions } from "./response-positions.js";
import { readFrames } from "./read-frames.js";
import { toWireRule, toWireSampling, toWireSpec } from "./to-wire.js";
import type { TeacherOptions } from "./teacher-options.js";

/** A sequence that student and teacher write together. */
export interface SequenceRequest {
  readonly runSeed: number;
  readonly rngKey: number;
  readonly prompt: Uint32Array;
  readonly maxResponse: number;
  readonly stopIds: readonly number[];
  readonly rule: AcceptanceRule;
  /** How the teacher writes replacements. */
  readonly sampling: SamplingParams;
  readonly signal: SignalSpec;
}

/** Tokens the student proposes at response positions start … start+tokens.length−1. */
export interface DraftBlock {
  readonly start: number;
  /** Replacements of this sequence the student knew of when it wrote the block. */
  readonly replacementsSeen: number;
  readonly tokens: Uint32Array;
  /** Ids whose teacher logits are wanted, ragged by draft position. */
  readonly atOffsets?: Uint32Array;
  readonly atIds?: Uint32Array;
}

export type DraftAnswer = VerdictAnswer | { readonly kind: "stale" };

export interface VerdictAnswer {
  readonly kind: "verdict";
  /** Drafts kept, before the replacement. */
  readonly accepted: number;
  readonly replacement?: number;
  /** u32, through the first rejected draft. */
  readonly draftRanks: Uint32Array;
  /** Of the kept positions; absent when no part was asked for. */
  readonly signal?: TeacherSignal;
  readonly finish: Finish;
  readonly computedPositions: number;
  readonly reusedPositions: number;
}

/** What decides how a sequence travels. */
export interface WireFormat extends Pick<
  TeacherOptions,
  "encoding" | "maxLogitError" | "itemTimeoutMs"
> {
  readonly vocabSize: number;
}

interface Unanswered {
  readonly block: DraftBlock;
  sentAt: number;
  readonly frames: SignalFrame__Output[];
  readonly resolve: (answer: DraftAnswer) => void;
  readonly reject: (error: TandemError) => void;
}

const FINISH = {
  FINISH_UNSPECIFIED: "none",
  FINISH_STOP: "stop",
  FINISH_LENGTH: "length",
} as const;

/** The client's side of one sequence: it holds the tokens, so that the server's session may be lost at any time.
 * Pure bookkeeping; the stream sends what `openMessage` and `draftMessage` give. */
export class TeacherSequence {
  /** The id of the server's session on the current stream; undefined while there is none. */
  wireId: number | undefined;
  readonly #request: SequenceRequest;
  readonly #wire: WireFormat;
  readonly #response: number[] = [];
  #replacements = 0;
  /** Replacements inside the response with which the current session was opened: the server counts from there. */
  #base = 0;
  #unanswered: Unanswered[] = [];
  #over: TandemError | "finished" | undefined;

  constructor(request: SequenceRequest, wire: WireFormat) {
    this.#request = request;
    this.#wire = wire;
  }

  get pendingSince(): number | undefined {
    return this.#unanswered[0]?.sentAt;
  }

  /** Is the draft at this response position unanswered? */
  awaits(start: number): boolean {
    return this.#unanswered.some(({ block }) => block.start === start);
  }

  /** Notes a block; undefined when it needs no sending because its answer is known. */
  add(block: DraftBlock): { answer: Promise<DraftAnswer>; message: Draft | undefined } {
    if (this.#over instanceof TandemError) throw this.#over;
    const stale = this.#over === "finished" || block.replacementsSeen < this.#replacements;
    if (stale) return { answer: Promise.resolve({ kind: "stale" }), message: undefined };
    const answer = new Promise<DraftAnswer>((resolve, reject) => {
      this.#unanswered.push({ block, sentAt: performance.now(), frames: [], resolve, reject });
    });
    return {
      answer,
      message: this.wireId === undefined ? undefined : this.#draftMessage(this.wireId, block),
    };
  }

  /** Begins a session under a fresh id, with all that is kept; the drafts to send after it. */
  open(wireId: number): { open: Open; drafts: Draft[] } {
    this.wireId = wireId;
    this.#base = this.#replacements;
    const { prompt, maxResponse, stopIds, rule, sampling, signal, rngKey, runSeed } = this.#request;
    const open: Open = {
      sequence: wireId,
      rngKey,
      prompt: u32ToBytes(prompt),
      response: u32ToBytes(Uint32Array.from(this.#response)),
      maxResponse,
      stopIds: [...stopIds],
      rule: toWireRule(rule),
      sampling: toWireSampling(sampling),
      signal: toWireSpec(signal, this.#wire),
      runSeed,
    };
    for (const item of this.#unanswered) {
      item.frames.length = 0;
      item.sentAt = performance.now();
    }
    return { open, drafts: this.#unanswered.map(({ block }) => this.#draftMessage(wireId, block)) };
  }

  #draftMessage(sequence: number, block: DraftBlock): Draft {
    return {
      sequence,
      start: block.start,
      replacementsSeen: block.replacementsSeen - this.#base,
      tokens: u32ToBytes(block.tokens),
      ...(block.atOffsets === undefined ? {} : { atOffsets: u32ToBytes(block.atOffsets) }),
      ...(block.atIds === undefined ? {} : { atIds: u32ToBytes(block.atIds) }),
      timeoutMs: this.#wire.itemTimeoutMs,
    };
  }

  /** Takes a (part of a) verdict.
   * @throws TandemError DATA_LOSS when it answers no draft or its signal does not decode. */
  takeVerdict(verdict: Verdict__Output): void {
    const item = this.#unanswered[0];
    // Drafts that were overtaken by a replacement are answered here already; a late `stale` of theirs is nothing new.
    if (item === undefined || item.block.start !== verdict.start) {
      throw new TandemError(
        "DATA_LOSS",
        `the teacher answered a draft at ${verdict.start} that is not the oldest unanswered one (${item?.block.start ?? "none"})`,
      );
    }
    item.frames.push(...verdict.frames);
    if (!verdict.last) return;
    const { tokens } = item.block;
    if (item.block.start !== this.#response.length || verdict.accepted > tokens.length) {
      throw new TandemError("DATA_LOSS", "the teacher's verdict does not fit the draft");
    }
    const signal = readFrames(item.frames, this.#wire.vocabSize);
    const kept = verdict.accepted + (verdict.replacement === undefined ? 0 : 1);
    this.#checkSignal(signal, kept);
    for (let i = 0; i < verdict.accepted; i++) this.#response.push(tokens[i] as number);
    this.#unanswered.shift();
    const finish = FINISH[verdict.finish];
    item.resolve({
      kind: "verdict",
      accepted: verdict.accepted,
      ...(verdict.replacement === undefined ? {} : { replacement: verdict.replacement }),
      draftRanks: u32FromBytes(verdict.draftRanks, "verdict.draft_ranks"),
      ...(signal === undefined ? {} : { signal }),
      finish,
      computedPositions: responsePositions(verdict.usage),
      reusedPositions: verdict.usage?.reusedPositions ?? 0,
    });
    if (verdict.replacement !== undefined) {
      this.#response.push(verdict.replacement);
      this.#replacements++;
      this.#dropUnanswered();
    }
    if (finish !== "none") {
      this.#over = "finished";
      this.#dropUnanswered();
    }
  }

  #checkSignal(signal: TeacherSignal | undefined, kept: number): void {
    const from = this.#request.prompt.length + this.#response.length;
    if (signal !== undefined && (signal.from !== from || signal.count !== kept)) {
      throw new TandemError(
        "DATA_LOSS",
        `the signal of a verdict covers rows ${signal.from}+${signal.count}, kept are ${from}+${kept}`,
      );
    }
  }

  /** Whatever is unanswered assumed that an earlier block was accepted whole, or that the sequence went on. */
  #dropUnanswered(): void {
    for (const item of this.#unanswered) item.resolve({ kind: "stale" });
    this.#unanswered = [];
  }

  /** Settles everything with an error; later drafts fail with it too. */
  fail(error: TandemError): void {
    this.#over ??= error;
    for (const item of this.#unanswered) item.reject(error);
    this.#unanswered = [];
  }
}
