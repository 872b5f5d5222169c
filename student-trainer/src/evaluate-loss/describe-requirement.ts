import { stateWidth, type StateWidths } from "@tandem/shared/wire/state-number.js";
import type { LossRequirement } from "../losses/loss-definition.js";

/** What a loss asks the teacher for, in words. */
export function describeRequirement({
  signal,
  studentTopK,
  taus,
  positionTaus,
}: LossRequirement): string {
  const parts = [
    signal?.topK !== undefined &&
      `top ${signal.topK}${untilMass(signal.topPMass)} ${listForm(signal)}`,
    signal?.dense !== undefined && signal.dense !== "none" && "all V logits",
    signal?.token && (signal.logProbs ? "token log-probability and rank" : "token logit and rank"),
    signal?.lse && !signal.logProbs && "lse",
    signal?.moments && "moments",
    signal?.draws !== undefined &&
      `${signal.draws} draws${isWeighted(signal) ? ` at temperature ${signal.drawTemperature}` : ""}`,
    studentTopK !== undefined && `logits at the student's best ${studentTopK}`,
    taus !== undefined && "lse at τ",
    positionTaus !== undefined && "moments, then lse at temperatures of each position",
    signal?.hiddenLayers !== undefined && "hidden states",
  ].filter((part) => typeof part === "string");
  return parts.length === 0 ? "nothing" : parts.join(", ");
}

function listForm({ logProbs, omitTopIds }: NonNullable<LossRequirement["signal"]>): string {
  if (!logProbs) return "with tail";
  return omitTopIds ? "as log-probabilities without ids" : "as log-probabilities";
}

function untilMass(mass = 1): string {
  return mass < 1 ? ` up to mass ${mass}` : "";
}

/** Do its samples come with weights? */
function isWeighted({ drawTemperature = 1 }: NonNullable<LossRequirement["signal"]>): boolean {
  return drawTemperature !== 1;
}

/** Bytes of a position's signal in the PLAIN encoding, the student's ids on their way to the teacher included; draws at their most, all
 * different, lists at their longest. Hidden states are float16 numbers. COMPACT sends ids and logits of a top list in about a third. */
export function plainBytes(
  { signal = {}, studentTopK = 0, taus = {}, positionTaus = {} }: LossRequirement,
  vocabulary: number,
  teacher: StateWidths,
): number {
  const topK = Math.min(signal.topK ?? 0, vocabulary);
  const own = Math.min(studentTopK, vocabulary);
  const draws = signal.draws ?? 0;
  const perLogit = signal.dense === "f32" ? 4 : signal.dense === "f16" ? 2 : 0;
  return (
    topK * (signal.omitTopIds ? 4 : 8) + // id and logit
    (signal.logProbs ? 0 : topK > 0 ? 8 : signal.lse ? 4 : 0) + // lse, and the tail of a list
    (signal.token ? 8 : 0) +
    (signal.moments ? 12 : 0) +
    Object.keys(taus).length * (topK > 0 ? 12 : 8) + // τ, lse, tail
    Object.keys(positionTaus).length * (topK > 0 ? 16 : 12) + // the same, and τ on its way to the teacher
    (Object.keys(positionTaus).length > 0 ? 12 : 0) + // moments, asked for first
    (own > 0 ? own * 8 + 4 : 0) + // id there, logit back, offset
    (draws > 0 ? draws * (isWeighted(signal) ? 12 : 8) + 4 : 0) +
    (signal.hiddenLayers ?? []).reduce((sum, own) => sum + 2 * stateWidth(own, teacher), 0) +
    perLogit * vocabulary
  );
}
