import type { HeadWish, SignalEncoding } from "./engine-step.js";

export type Priority = "high" | "normal" | "low";

/** A client as fairness sees it; its streams share what it gets. */
export interface Owner {
  readonly name: string;
  /** Its part of the engine relative to others'; > 0. */
  readonly weight: number;
}

/** A stretch of one sequence that has to go through the model, and what is asked of its last positions. */
export interface Job {
  readonly id: number;
  /** The stream or call it came on. */
  readonly client: number;
  /** Whose stream that is: whom fairness is between. */
  readonly owner: Owner;
  /** What is computed first when not everything can be. */
  readonly priority: Priority;
  /** prefill: no laws, the cache is filled ahead of what will be asked of the sequence. */
  readonly kind: "draft" | "generate" | "score" | "prefill";
  /** The KV cache of the sequence; at most one job per cache at a time. */
  readonly cache: number;
  /** u32: the sequence from its first token through the last position to compute. */
  readonly tokens: Uint32Array;
  /** Index in `tokens` of the first position whose law is wanted; what lies before is prefill. */
  readonly headFrom: number;
  /** The laws of positions headFrom … tokens.length−1: lawCount(head) = tokens.length − headFrom. */
  readonly head: HeadWish;
  readonly encoding: SignalEncoding;
  /** All laws must come out of one step (drafts, generation); otherwise they may come in pieces. */
  readonly atomic: boolean;
  /** Jobs with equal names ask for the same bytes: one of them is computed. Absent: never shared. */
  readonly identity?: string;
  /** Bound of the sequence's final length: the size of its cache. */
  readonly maxLength: number;
  readonly arrivedMs: number;
  /** When the answer is not worth computing any more; Infinity = never. */
  readonly deadlineMs: number;
}

/** What a job has cost so far. */
export interface JobUsage {
  /** Positions sent through the model, prefill included. */
  readonly computedPositions: number;
  /** Of these, known tokens whose keys and values were missing. */
  readonly prefillPositions: number;
  /** Positions before `headFrom` that were in the sequence's cache, or came from a sequence that begins alike. */
  readonly reusedPositions: number;
  /** Positions that somebody else's equal request paid for, at the same time or earlier. */
  readonly savedPositions: number;
  readonly queueMs: number;
  readonly computeMs: number;
}

export const NO_USAGE: JobUsage = {
  computedPositions: 0,
  prefillPositions: 0,
  reusedPositions: 0,
  savedPositions: 0,
  queueMs: 0,
  computeMs: 0,
};
