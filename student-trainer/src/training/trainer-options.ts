import type { StudentModel } from "../checkpoint/student-model.js";
import type { LossSet } from "../losses/loss-set.js";
import type { OptimizerConfig } from "../optim/optimizer-config.js";
import type { PlainTextFeedOptions } from "./plain-text-feed.js";
import type { PlainTextLearning } from "./plain-text-term.js";
import type { RolloutSource } from "./rollout-source.js";
import type { EvaluationRecord, StepRecord } from "./run-log.js";
import type { RunSummary } from "./summary.js";
import type { TrainingConfig } from "./training-config.js";

/** A second stream of text: where it comes from, and how it is learnt. */
export type PlainText = PlainTextFeedOptions & PlainTextLearning;

export interface TrainerOptions {
  /** Has the current weights whenever they are published, and at the end. */
  readonly model: StudentModel;
  /** V: the real vocabulary; default: the model's, padding included. */
  readonly vocabulary?: number;
  readonly losses: LossSet;
  readonly training: TrainingConfig;
  readonly optimizer: OptimizerConfig;
  readonly source: RolloutSource;
  /** Learnt beside the rollouts. */
  readonly plainText?: PlainText | undefined;
  /** Rollouts per batch of the source, from which `rounds` become steps. */
  readonly rolloutBatchSize: number;
  /** Makes these weights those of the student that writes and is evaluated. The arrays change with the next step: copy what is kept. */
  readonly publishWeights: (weights: ReadonlyMap<string, Float32Array>) => Promise<void>;
  /** Measures of the student with the weights just published. */
  readonly evaluate?: (step: number) => Promise<Readonly<Record<string, number | string>>>;
  /** Holds metrics.jsonl and checkpoints/. */
  readonly runDir: string;
  /** Of the resolved configuration: a checkpoint continues only under the same one. */
  readonly configDigest: string;
  /** Go on from the newest checkpoint. */
  readonly resume?: boolean;
  /** Its tokenizer files go into checkpoints. */
  readonly tokenizerDir?: string;
  readonly clock: { nowMs(): number };
  /** Compute steps in a thread of their own, so that this one stays free. Default true; the bits are the same. */
  readonly ownThread?: boolean;
  /** Told about each record as it is written. */
  readonly onStep?: (record: StepRecord) => void;
  readonly onEvaluation?: (record: EvaluationRecord) => void;
  /** Ends the run after the step in progress, with a checkpoint. */
  readonly abort?: AbortSignal;
}

export interface TrainingResult {
  readonly summary: RunSummary;
  /** The last checkpoint. */
  readonly checkpoint: string;
  /** The run was aborted before its last step. */
  readonly interrupted: boolean;
}
