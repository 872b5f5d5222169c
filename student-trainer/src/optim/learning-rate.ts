import { unreachable } from "@tandem/shared/errors/invariant.js";
import type { OptimizerConfig } from "./optimizer-config.js";

type LearningRateConfig = Pick<
  OptimizerConfig,
  "learningRate" | "schedule" | "warmupSteps" | "decayStart" | "finalFraction"
>;

/** The learning rate of step `step` (from 0) of `totalSteps`: linear warm-up, constant until `decayStart` of the run, then linear or
 * cosine to `finalFraction` of the peak, which would be reached at step `totalSteps`. */
export function learningRateAt(
  { learningRate, schedule, warmupSteps, decayStart, finalFraction }: LearningRateConfig,
  step: number,
  totalSteps: number,
): number {
  const warmup = step < warmupSteps ? (step + 1) / warmupSteps : 1;
  const begin = Math.max(warmupSteps, decayStart * totalSteps);
  const done =
    totalSteps > begin ? Math.min(1, Math.max(0, (step - begin) / (totalSteps - begin))) : 0;
  return learningRate * warmup * (finalFraction + (1 - finalFraction) * shape(schedule, done));
}

/** 1 at the start, 0 at the end. */
function shape(schedule: LearningRateConfig["schedule"], done: number): number {
  switch (schedule) {
    case "constant":
      return 1;
    case "linear":
      return 1 - done;
    case "cosine":
      return (1 + Math.cos(Math.PI * done)) / 2;
    default:
      return unreachable(schedule);
  }
}
