import type { ModelConfig } from "@tandem/shared/checkpoint/model-config.js";
import type { ErrorCode } from "@tandem/shared/errors/error-code.js";
import type { LossesConfig } from "../losses/loss-set.js";
import type { RunSizes } from "../losses/model-sizes.js";
import type { Rollout } from "../rollout/rollout.js";
import type { OptimizerState } from "./step-runner.js";
import type { TrainStepOptions } from "./train-step.js";

/** What the thread is started with: `TrainStepOptions` as plain data. */
export interface TrainThreadData extends Omit<TrainStepOptions, "model" | "losses"> {
  readonly config: ModelConfig;
  readonly weights: ReadonlyMap<string, Float32Array>;
  readonly losses: LossesConfig;
  readonly sizes: RunSizes | undefined;
}

/** The thread answers one call after the other, in order. */
export type TrainThreadCall =
  | {
      readonly kind: "run";
      readonly minibatch: readonly Rollout[];
      readonly step: number;
      readonly plainTexts: readonly Rollout[];
    }
  | { readonly kind: "readWeights" }
  | { readonly kind: "readOptimizer" }
  | { readonly kind: "restoreOptimizer"; readonly state: OptimizerState }
  | { readonly kind: "close" };

export type TrainThreadAnswer =
  | { readonly kind: "result"; readonly value: unknown }
  | { readonly kind: "error"; readonly code: ErrorCode; readonly message: string };
