/** The plain records with which a scheduler tells a model what to compute. No tensor, clock or socket in them. */
import type { SignalSpec, TeacherSignal } from "../wire/teacher-signal.js";
import type { AcceptanceRule } from "../sampling/acceptance.js";
import type { SamplingParams } from "../sampling/sampling-params.js";
import type { ErrorCode } from "../errors/error-code.js";
import type { RandomStream } from "../numeric/philox.js";

/** One forward pass over many rows: prefill chunks, drafts and scoring side by side. */
export interface Step {
  /** Caches whose slots are freed before anything else. */
  readonly release: readonly number[];
  readonly rows: readonly StepRow[];
}

export interface StepRow {
  /** Names a KV slot; an unknown number makes a new one. A number appears once per step. */
  readonly cache: number;
  /** Positions of the slot that are kept; what lies behind them is overwritten. */
  readonly past: number;
  /** New tokens, at positions past … past+tokens.length−1. At least one. */
  readonly tokens: Uint32Array;
  /** Upper bound of the row's final length: its slot grows with the row, but never beyond what this needs. */
  readonly maxLength: number;
  /** Absent: only the cache is filled. */
  readonly head?: HeadRequest;
  /** Prefix reuse: blocks whose keys and values become the cache's before the row is computed, one behind the other from within what the cache
   * holds. `past` may lie behind them, but not beyond. */
  readonly load?: readonly BlockPlace[];
  /** Stretches of the cache to be kept as blocks once the row is computed, unless it fails. Loads come before saves: a number may be in both. */
  readonly save?: readonly BlockPlace[];
}

/** KV_BLOCK positions of a sequence, from `start` on, and the number of the block that keeps them. Numbers are the caller's: saving under one that is
 * in use overwrites it. */
export interface BlockPlace {
  readonly block: number;
  readonly start: number;
}

/** Which new positions go through the LM head, and what is asked of them. */
export interface HeadRequest {
  /** Index into `tokens` of the first position whose next-token law is wanted. */
  readonly first: number;
  /** The token each law refers to (`tokens[from]` of the signal): n = targets.length consecutive laws. The last may be the one behind the row's newest token: first + n ≤ tokens.length. */
  readonly targets: Uint32Array;
  readonly spec: SignalSpec;
  /** f32 [n,J] per-position temperatures, instead of spec.taus. */
  readonly taus?: Float32Array;
  /** Ragged ids chosen by the student: row r asks for atIds[atOffsets[r] .. atOffsets[r+1]). */
  readonly atOffsets?: Uint32Array;
  readonly atIds?: Uint32Array;
  /** What the draws and the replacement are counted by. */
  readonly random?: HeadRandom;
  /** SKD: judge `targets` as drafts; the signal then covers only the kept rows. */
  readonly verify?: { readonly rule: AcceptanceRule; readonly sampling: SamplingParams };
  /** Generation: one token is sampled from the law behind the last target, at index first + n of `tokens`; a signal covers it too, as its last row. */
  readonly sample?: SamplingParams;
  /** Up to so many further tokens are wanted behind the sampled one, each drawn from the law behind the one before; only for rows that ask for nothing but tokens.
   * A runner draws them where that costs less than as many steps, else none. */
  readonly ahead?: number;
}

/** Names the uniforms of a head request: see `uniformAt`. */
export interface HeadRandom {
  readonly runSeed: number;
  readonly rngKey: number;
  /** Response-relative position of the first law's token. */
  readonly firstPosition: number;
  /** Which stream `sample` draws from; default "replacement", for the student's own drafts "draft". */
  readonly stream?: RandomStream;
}

export interface StepResult {
  /** One per row of the step, in its order. */
  readonly rows: readonly StepRowResult[];
  /** Wall time of the native part, milliseconds, and what was computed. */
  readonly computeMs: number;
  readonly computedPositions: number;
  readonly headPositions: number;
}

export interface StepRowResult {
  readonly cache: number;
  readonly signal?: TeacherSignal;
  readonly verdict?: DraftVerdict;
  readonly sampled?: number;
  /** The tokens drawn behind `sampled`: as many as were wanted, or none. The cache holds all of them but the last. */
  readonly ahead?: Uint32Array;
  /** The row failed by itself (the model computed NaN for it, say): nothing else is set, its cache holds what it held, other rows are fine. */
  readonly failure?: { readonly code: ErrorCode; readonly message: string };
}

export interface DraftVerdict {
  /** Drafts kept, before the replacement. */
  readonly accepted: number;
  /** The teacher's token at the first rejected draft; absent when all were accepted. */
  readonly replacement?: number;
  /** u32: ranks of the drafts through the first rejected one. */
  readonly draftRanks: Uint32Array;
}
