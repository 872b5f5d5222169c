import { TandemError } from "../errors/tandem-error.js";
import { gatherTopK, keepNucleus } from "./nucleus.js";
import type { SamplingParams } from "./sampling-params.js";

/** A weight below e^-50 of the largest counts as none: it is beyond the last bit of any float64 sum it enters, and its exponential
 * need not be taken. */
const NEGLIGIBLE_EXPONENT = -50;

let weightScratch = new Float64Array(0);

/** Draws one id: temperature, then the k largest, then the nucleus, then the inverse CDF over ascending ids (the first id whose
 * running mass exceeds uniform · total), accumulated in float64.
 * logits: f32 [V], raw; −Infinity carries no mass. uniform: in [0, 1). Temperature 0 takes the lowest id of the maximum.
 * @throws TandemError INTERNAL when the row has no finite maximum (a model that computed NaN or infinities). */
export function sampleRow(logits: Float32Array, params: SamplingParams, uniform: number): number {
  const best = greedyToken(logits);
  const maximum = logits[best] as number;
  if (params.temperature === 0 || params.topK === 1) return best;
  const { ids, weights } = warp(logits, maximum, params);
  const index = invertCdf(weights, uniform);
  return ids === undefined ? index : (ids[index] as number);
}

/** Could `sampleRow` draw the token: is anything of its probability left behind temperature, top-k and top-p?
 * @throws as `sampleRow`. */
export function canSample(logits: Float32Array, params: SamplingParams, token: number): boolean {
  const best = greedyToken(logits);
  if (params.temperature === 0 || params.topK === 1) return token === best;
  const { ids, weights } = warp(logits, logits[best] as number, params);
  const index = ids === undefined ? token : ids.indexOf(token);
  return index >= 0 && (weights[index] as number) > 0;
}

/** What temperature, the k largest and the nucleus leave: weights by index into `ids`, or by id. They live until the next call. */
function warp(
  logits: Float32Array,
  maximum: number,
  { temperature, topK, topP }: SamplingParams,
): { readonly ids: Uint32Array | undefined; readonly weights: Float64Array } {
  let values = logits;
  let ids: Uint32Array | undefined;
  if (topK > 0 && topK < logits.length) ({ ids, values } = gatherTopK(logits, maximum, topK));
  const weights = fillWeights(values, maximum, temperature);
  if (topP < 1) keepNucleus(values, weights, maximum, topP);
  return { ids, weights };
}

/** The lowest id of the row's maximum.
 * @throws TandemError INTERNAL when the maximum is not finite or a value is NaN. */
function greedyToken(logits: Float32Array): number {
  let best = 0;
  let maximum = -Infinity;
  let sane = true;
  for (let i = 0; i < logits.length; i++) {
    const value = logits[i] as number;
    if (value > maximum) {
      maximum = value;
      best = i;
    } else if (Number.isNaN(value)) sane = false;
  }
  if (!sane || maximum === -Infinity || maximum === Infinity) {
    throw new TandemError(
      "INTERNAL",
      `cannot sample from ${logits.length} logits with maximum ${maximum}${sane ? "" : " and NaN among them"}; a finite maximum and no NaN are needed`,
    );
  }
  return best;
}

/** exp((value − maximum) / temperature), in a buffer that the next call reuses. */
function fillWeights(values: Float32Array, maximum: number, temperature: number): Float64Array {
  if (weightScratch.length < values.length) weightScratch = new Float64Array(values.length);
  const weights = weightScratch.subarray(0, values.length);
  const scale = 1 / temperature;
  for (let i = 0; i < values.length; i++) {
    const exponent = ((values[i] as number) - maximum) * scale;
    weights[i] = exponent < NEGLIGIBLE_EXPONENT ? 0 : Math.exp(exponent);
  }
  return weights;
}

function invertCdf(weights: Float64Array, uniform: number): number {
  let total = 0;
  for (let i = 0; i < weights.length; i++) total += weights[i] as number;
  const target = uniform * total;
  let running = 0;
  let last = 0;
  for (let i = 0; i < weights.length; i++) {
    const weight = weights[i] as number;
    if (weight === 0) continue;
    running += weight;
    if (running > target) return i;
    last = i;
  }
  return last;
}
