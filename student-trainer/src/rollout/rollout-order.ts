import { rngKeyOf } from "@tandem/shared/numeric/hash32.js";

/** One rollout that is to be written. */
export interface RolloutOrder {
  readonly row: number;
  readonly sample: number;
  readonly epoch: number;
  /** Name of the row's teacher; left out: the one of `teacher:`. */
  readonly teacher?: string;
  readonly prompt: Uint32Array;
  /** What teachers see in place of it. */
  readonly teacherPrompt?: Uint32Array;
  /** The data set's answer, stop id included. */
  readonly answer?: Uint32Array;
}

/** What the rollout's random numbers are counted by. */
export function rngKeyOfOrder({ epoch, row, sample }: RolloutOrder): number {
  return rngKeyOf(epoch, row, sample);
}
