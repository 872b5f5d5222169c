import type { SampleSequence } from "./run-record.js";

/** The sequences written at one step. */
export interface Stage {
  readonly step: number;
  readonly sequences: readonly SampleSequence[];
}

/** Chooses what the token view shows: the first step that has samples, the last, and others evenly between, up to `maxStages`,
 * with the first `maxPerStage` sequences of each. */
export function pickSequences(
  sequences: readonly SampleSequence[],
  { maxStages, maxPerStage }: { readonly maxStages: number; readonly maxPerStage: number },
): readonly Stage[] {
  const byStep = new Map<number, SampleSequence[]>();
  for (const sequence of sequences) {
    const members = byStep.get(sequence.step);
    if (members === undefined) byStep.set(sequence.step, [sequence]);
    else members.push(sequence);
  }
  const steps = [...byStep.keys()].sort((a, b) => a - b);
  const count = Math.min(maxStages, steps.length);
  const chosen = Array.from({ length: count }, (_, index) =>
    Math.round((index * (steps.length - 1)) / Math.max(1, count - 1)),
  );
  return chosen.map((at) => {
    const step = steps[at] as number;
    return { step, sequences: (byStep.get(step) ?? []).slice(0, maxPerStage) };
  });
}
