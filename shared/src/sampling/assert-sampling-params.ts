import { TandemError } from "../errors/tandem-error.js";
import type { SamplingParams } from "./sampling-params.js";

/** Checks ranges; `field` is how the user wrote the record (`teacher_sampling`).
 * @throws TandemError INVALID_ARGUMENT naming the field. */
export function assertSamplingParams(params: SamplingParams, field: string): void {
  const { temperature, topK, topP } = params;
  if (!(temperature >= 0 && Number.isFinite(temperature))) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `${field}.temperature is ${temperature}; give a finite number ≥ 0 (0 = greedy)`,
      { field: `${field}.temperature` },
    );
  }
  if (!(Number.isInteger(topK) && topK >= 0)) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `${field}.top_k is ${topK}; give an integer ≥ 0 (0 = all tokens)`,
      { field: `${field}.top_k` },
    );
  }
  if (!(topP > 0 && topP <= 1)) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `${field}.top_p is ${topP}; give a number in (0, 1] (1 = all tokens)`,
      { field: `${field}.top_p` },
    );
  }
}
