import { AUTHOR, type Rollout, type RolloutBatch } from "../rollout/rollout.js";
import type { StepRecord } from "./run-log.js";
import { acceptanceByPosition, teacherShareByPosition } from "./share-by-position.js";
import type { StepResult } from "./step-runner.js";

/** The sequences of one optimizer step. */
export interface Minibatch {
  /** Which pass over the batch, from 0. */
  readonly iteration: number;
  readonly rollouts: readonly Rollout[];
}

export interface StepFacts {
  readonly step: number;
  readonly round: number;
  readonly minibatch: Minibatch;
  readonly batch: RolloutBatch;
  readonly result: StepResult;
  readonly seconds: number;
  readonly rolloutSeconds: number;
  readonly teacherWaitMs: number;
}

/** A line of metrics.jsonl: first what is the same in every equal run, then what the clock said. */
export function toStepRecord({
  step,
  round,
  minibatch,
  batch,
  result,
  ...timing
}: StepFacts): StepRecord {
  const { judged, accepted } = batch.stats;
  return {
    kind: "step",
    step,
    round,
    iteration: minibatch.iteration,
    epoch: minibatch.rollouts.reduce((highest, { epoch }) => Math.max(highest, epoch), 0),
    loss: result.loss,
    losses: result.losses,
    ...(Object.keys(result.measures).length > 0 && { measures: result.measures }),
    gradNorm: result.gradNorm,
    learningRate: result.learningRate,
    tokens: result.tokens,
    ...(judged > 0 && {
      acceptance: accepted / judged,
      acceptanceAt: acceptanceByPosition(batch.rollouts).map(rounded),
    }),
    teacherShare: teacherShare(minibatch.rollouts),
    ...(judged > 0 && {
      teacherShareAt: teacherShareByPosition(minibatch.rollouts).map(rounded),
    }),
    tokensPerSecond: timing.seconds > 0 ? result.tokens / timing.seconds : 0,
    teacherWaitMs: timing.teacherWaitMs,
    seconds: timing.seconds,
    rolloutSeconds: timing.rolloutSeconds,
  };
}

/** Four digits are plenty for a curve. */
function rounded(share: number): number {
  return Math.round(share * 1e4) / 1e4;
}

function teacherShare(rollouts: readonly Rollout[]): number {
  let teacher = 0;
  let all = 0;
  for (const { authors } of rollouts) {
    all += authors.length;
    for (const author of authors) if (author === AUTHOR.teacher) teacher += 1;
  }
  return all === 0 ? 0 : teacher / all;
}
