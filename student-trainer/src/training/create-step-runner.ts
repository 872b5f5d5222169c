import { availableParallelism } from "node:os";
import type { StepRunner } from "./step-runner.js";
import { TrainStep } from "./train-step.js";
import { TrainThread } from "./train-thread.js";
import type { TrainerOptions } from "./trainer-options.js";
import { totalSteps } from "./training-config.js";

/** What makes the steps of a run. */
export function createStepRunner(options: TrainerOptions): StepRunner {
  const { model, training, vocabulary = model.config.vocabSize, ownThread = true } = options;
  const { plainText } = options;
  const Runner = ownThread ? TrainThread : TrainStep;
  return new Runner({
    model,
    vocabulary,
    losses: options.losses,
    plainText: plainText && {
      weight: plainText.weight,
      distillation: plainText.distillation,
    },
    optimizer: options.optimizer,
    reduction: training.reduction,
    microBatchSize: training.microBatchSize,
    totalSteps: totalSteps(training, options.rolloutBatchSize),
    threads: training.threads ?? availableParallelism(),
  });
}
