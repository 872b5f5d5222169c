import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { SignalSpec } from "@tandem/shared/wire/teacher-signal.js";

/** What several losses ask of one teacher, as one request: the longest lists, every part that any of them needs.
 * @throws TandemError INVALID_ARGUMENT when they want samples of different laws: there is one list of them. */
export function mergeSpecs(
  parts: readonly Partial<SignalSpec>[],
  taus: readonly number[],
): SignalSpec {
  const largest = (pick: (part: Partial<SignalSpec>) => number | undefined) =>
    Math.max(0, ...parts.map((part) => pick(part) ?? 0));
  const any = (pick: (part: Partial<SignalSpec>) => boolean | undefined) =>
    parts.some((part) => pick(part) ?? false);
  const asking = parts.filter((part) => Object.keys(part).length > 0);
  const listed = parts.filter(({ topK = 0 }) => topK > 0);
  // The short form holds no raw logits: one loss that reads them, or the teacher at a temperature, and all get the long one.
  const logProbs = taus.length === 0 && all(asking, (part) => part.logProbs);
  return {
    topK: largest((part) => part.topK),
    topPMass: largestMass(parts),
    omitTopIds: logProbs && all(listed, (part) => part.omitTopIds),
    logProbs,
    lse: any((part) => part.lse),
    token: any((part) => part.token),
    moments: any((part) => part.moments),
    taus,
    draws: largest((part) => part.draws),
    drawTemperature: commonDrawTemperature(parts),
    dense: widestDense(parts),
    hiddenLayers: union(parts.map((part) => part.hiddenLayers ?? [])),
  };
}

/** Whether all of them, one at least, can do with the shorter form. */
function all(
  parts: readonly Partial<SignalSpec>[],
  pick: (part: Partial<SignalSpec>) => boolean | undefined,
): boolean {
  return parts.length > 0 && parts.every((part) => pick(part) ?? false);
}

/** Whole lists, unless all losses with a list can do with shorter ones. */
function largestMass(parts: readonly Partial<SignalSpec>[]): number {
  const listed = parts.filter((part) => (part.topK ?? 0) > 0);
  if (listed.length === 0) return 1;
  return Math.max(...listed.map((part) => part.topPMass ?? 1));
}

function commonDrawTemperature(parts: readonly Partial<SignalSpec>[]): number {
  const drawing = parts.filter(({ draws = 0 }) => draws > 0);
  const [first = 1, ...others] = new Set(drawing.map(({ drawTemperature = 1 }) => drawTemperature));
  if (others.length === 0) return first;
  throw new TandemError(
    "INVALID_ARGUMENT",
    `losses want samples of one teacher at temperatures ${[first, ...others].join(" and ")}; give them one drawTemperature, or name a teacher for each (teachers:)`,
    { field: "losses.drawTemperature" },
  );
}

function widestDense(parts: readonly Partial<SignalSpec>[]): SignalSpec["dense"] {
  if (parts.some((part) => part.dense === "f32")) return "f32";
  return parts.some((part) => part.dense === "f16") ? "f16" : "none";
}

/** The numbers of all lists, rising, each once. */
export function union(lists: readonly (readonly number[])[]): readonly number[] {
  return [...new Set(lists.flat())].sort((a, b) => a - b);
}
