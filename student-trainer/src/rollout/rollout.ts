import type { TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";

/** Who wrote a response token. */
export const AUTHOR = { student: 0, teacher: 1, data: 2 } as const;

/** One finished sequence, ready to be trained on. */
export interface Rollout {
  /** Row of the data set, and which sample of it; with the epoch they name the rollout's random numbers. */
  readonly row: number;
  readonly sample: number;
  readonly epoch: number;
  /** The row's teacher, by its name among `teachers:`; left out: `teacher:`. */
  readonly teacher?: string;
  readonly prompt: Uint32Array;
  /** What teachers saw in place of it. */
  readonly teacherPrompt?: Uint32Array;
  /** Kept tokens, stop id included. May be empty only for supervised data. */
  readonly response: Uint32Array;
  /** One of AUTHOR per response token. */
  readonly authors: Uint8Array;
  /** "stop": the last token is a stop id; "length": cut at maxResponse. */
  readonly finish: "stop" | "length";
  /** from = prompt.length (also where the teacher saw another prompt), count = response.length; absent when no loss needs a teacher. */
  readonly signal?: TeacherSignal;
  /** The same of the teachers that losses name. */
  readonly signals?: Readonly<Record<string, TeacherSignal>>;
  /** u32, ragged by signal.atOffsets: the ids the student chose at each position, to which every signal's atLogits belong. */
  readonly atIds?: Uint32Array;
  /** f32 [n]: log q of each token by the student that wrote (or read) the text, at temperature 1; only if a loss asks for it. */
  readonly oldLogProbs?: Float32Array;
  /** Of interleaved rollouts, for people: per response token the teacher's rank of it (−1 unknown), and the draft that stood there
   * before the teacher replaced it (−1: none). */
  readonly ranks?: Int32Array;
  readonly rejected?: Int32Array;
  readonly stats: RolloutStats;
}

/** Counts over one rollout or summed over many. */
export interface RolloutStats {
  /** Draft tokens judged (through the first rejection of each block), accepted, replaced by the teacher. */
  readonly judged: number;
  readonly accepted: number;
  readonly replaced: number;
  /** Positions the teacher computed for the response, prompt and re-opened sessions apart. */
  readonly computedPositions: number;
}

export const NO_STATS: RolloutStats = {
  judged: 0,
  accepted: 0,
  replaced: 0,
  computedPositions: 0,
};

/** A batch of rollouts and what it took to write it. */
export interface RolloutBatch {
  readonly index: number;
  readonly rollouts: readonly Rollout[];
  readonly stats: RolloutStats;
  /** Milliseconds during which nothing could be drafted because verdicts were outstanding. */
  readonly teacherWaitMs: number;
  readonly seconds: number;
}
