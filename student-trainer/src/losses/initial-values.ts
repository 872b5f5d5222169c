import { fillNormal } from "@tandem/shared/numeric/normal-numbers.js";
import type { OwnedParameter } from "./loss-set-inputs.js";

/** Key of the random numbers with which losses' parameters begin: "loss". */
const SEED = 0x6c6f7373;

/** What the losses' parameters begin with, in their order: the same in every run. */
export function initialValues(parameters: readonly OwnedParameter[]): readonly Float32Array[] {
  return parameters.map(({ shape, initial }, tensor) => {
    if (!("std" in initial)) return Float32Array.from(initial);
    const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
    fillNormal(values, { std: initial.std, seed: SEED, tensor });
    return values;
  });
}
