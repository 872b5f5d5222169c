import { MAX_STEPS } from "./layout.js";

/** The step with which logits of magnitude up to `magnitude`, decoded in float32, stay within `maxError` of the original, or
 * undefined when no step does (then they travel as f32). */
export function stepFor(maxError: number, magnitude: number): number | undefined {
  if (!Number.isFinite(magnitude)) return undefined;
  // half an ulp for rounding the decoded value to f32, another half for what float64 arithmetic and the f32 step add
  const rounding = magnitude * 2 ** -23;
  const step = Math.fround(2 * (maxError - rounding) * (1 - 2 ** -22));
  return step > rounding && step < Infinity ? step : undefined;
}

/** Whether a distance below the row's maximum can be written in steps. */
export function fitsInSteps(distance: number, step: number): boolean {
  return distance / step < MAX_STEPS;
}
