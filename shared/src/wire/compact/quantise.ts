import { MAX_STEPS } from "./layout.js";

/** Logits up to here share one step, whatever frame they travel in: a row decodes to the same bits however its sequence was cut into frames, which
 * depends on what else the teacher computed meanwhile. */
const COMMON_MAGNITUDE = 2 ** 10;

/** The smallest error for which f32's own rounding at that magnitude hardly matters. */
const COMMON_ERROR = 2 ** -10;

/** The step with which logits of magnitude up to `magnitude`, decoded in float32, stay within `maxError` of the original, or
 * undefined when no step does (then they travel as f32). */
export function stepFor(maxError: number, magnitude: number): number | undefined {
  if (!Number.isFinite(magnitude)) return undefined;
  const bound = maxError < COMMON_ERROR ? magnitude : Math.max(magnitude, COMMON_MAGNITUDE);
  // half an ulp for rounding the decoded value to f32, another half for what float64 arithmetic and the f32 step add
  const rounding = bound * 2 ** -23;
  const step = Math.fround(2 * (maxError - rounding) * (1 - 2 ** -22));
  return step > rounding && step < Infinity ? step : undefined;
}

/** Whether a distance below the row's maximum can be written in steps. */
export function fitsInSteps(distance: number, step: number): boolean {
  return distance / step < MAX_STEPS;
}
