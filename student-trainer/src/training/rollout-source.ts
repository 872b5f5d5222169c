import type { SignalRequirement } from "../losses/signal-requirement.js";
import type { RolloutBatch } from "../rollout/rollout.js";

/** What a run needs to write down to go on later. */
export type JsonValue =
  string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** What the trainer asks for when it wants the next batch. */
export interface RolloutRequest extends SignalRequirement {
  /** Done fraction of the run, for what is scheduled. */
  readonly progress: number;
  readonly abort: AbortSignal;
}

/** Where training text comes from: given answers, the student, the teacher, or both at once. */
export interface RolloutSource {
  /** The next batch; the stream never ends. What it returns depends on the state, the request and the weights published last, on nothing else. */
  next(request: RolloutRequest): Promise<RolloutBatch>;
  /** Leaves out the batch that `next` failed to write. */
  skip?(): void;
  /** Told of every evaluation, between two batches. What it returns is logged beside the measures. */
  observe?(
    measures: Readonly<Record<string, number | string>>,
  ): Readonly<Record<string, number>> | undefined;
  /** Everything needed to go on behind the last batch returned. */
  state(): JsonValue;
  restore(state: JsonValue): void;
}
