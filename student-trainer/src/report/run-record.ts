/** What a run directory tells about a run, as the report shows it. Steps and evaluations come in file order. */
export interface RunRecord {
  /** The run directory's name. */
  readonly name: string;
  readonly steps: readonly StepPoint[];
  readonly evaluations: readonly EvaluationPoint[];
  readonly sequences: readonly SampleSequence[];
  readonly summary: ReadonlyMap<string, SummaryValue>;
}

export type SummaryValue = number | string | boolean;

export interface StepPoint {
  /** Optimiser steps taken so far, this one included. */
  readonly step: number;
  /** Nats per token (the unit of the run's losses); NaN where it was not finite. */
  readonly loss: number;
  /** Accepted drafts ÷ judged drafts of the rollouts trained on, in [0,1]; absent when nothing was judged. */
  readonly acceptance?: number;
}

export interface EvaluationPoint {
  readonly step: number;
  /** Exact matches ÷ problems, in [0,1]. */
  readonly accuracy: number;
}

/** A sequence of rollouts.jsonl. */
export interface SampleSequence {
  readonly step: number;
  readonly row: number;
  readonly sample: number;
  readonly prompt: string;
  readonly finish: string;
  readonly tokens: readonly SampleToken[];
}

export type Author = "student" | "teacher" | "data";

export interface SampleToken {
  readonly piece: string;
  readonly author: Author;
  /** How many tokens the teacher likes better; 0 is its favourite. */
  readonly rank?: number;
  /** The most probable tokens at this position, best first; empty where not recorded. */
  readonly teacherTop: readonly Candidate[];
  readonly studentTop: readonly Candidate[];
  /** What the student had written here before the teacher replaced it. */
  readonly draft?: string;
}

export interface Candidate {
  readonly piece: string;
  readonly probability: number;
}
