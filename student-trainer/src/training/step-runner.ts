import type { NamedValues } from "../checkpoint/student-model.js";
import type { Moments } from "../optim/adamw.js";
import type { Rollout } from "../rollout/rollout.js";

export interface StepResult {
  /** Weighted sum of the losses. */
  readonly loss: number;
  readonly losses: Readonly<Record<string, number>>;
  /** By `LossSet.measureNames`, means over the positions. */
  readonly measures: Readonly<Record<string, number>>;
  readonly gradNorm: number;
  readonly learningRate: number;
  /** Positions that carried loss; with none, nothing was updated. */
  readonly tokens: number;
}

export interface OptimizerState {
  /** Updates made. */
  readonly updates: number;
  readonly moments: ReadonlyMap<string, Moments>;
  /** What the losses own. */
  readonly lossParameters: readonly NamedValues[];
}

/** Makes optimizer steps: in the caller's thread (`TrainStep`) or in one of its own (`TrainThread`), with the same bits. */
export interface StepRunner {
  /** Step number `step`, from 0; with plain text to be learnt beside the rollouts where the run has any. */
  run(
    minibatch: readonly Rollout[],
    step: number,
    plainTexts?: readonly Rollout[],
  ): Promise<StepResult>;
  /** The weights as they are now, by name. They may be the runner's own: copy what is kept. */
  readWeights(): Promise<ReadonlyMap<string, Float32Array>>;
  readOptimizer(): Promise<OptimizerState>;
  /** Continues where another runner stopped. */
  restoreOptimizer(state: OptimizerState): Promise<void>;
  close(): Promise<void>;
}
