import { sliceSignal } from "@tandem/shared/wire/slice-signal.js";
import type { TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";
import { spansOf } from "../losses/aligned-signal.js";
import { AUTHOR, NO_STATS, type Rollout } from "../rollout/rollout.js";
import type { LossEvaluation, LossSequence } from "./loss-evaluation.js";

/** Positions [start, end). */
interface Cut {
  readonly start: number;
  readonly end: number;
}

/** A response of an evaluation, as the trainer knows responses, and where its positions stand. */
export interface EvaluatedSequence extends Cut {
  readonly rollout: Rollout;
}

/** The responses behind prompts of one token. */
export function cutSequences(evaluation: LossEvaluation): readonly EvaluatedSequence[] {
  let next = 0;
  return sequencesOf(evaluation).map(({ length, row }, index) => {
    const start = next;
    next += length;
    const cut = { start, end: next };
    return { ...cut, rollout: toRollout(evaluation, cut, row ?? index) };
  });
}

export function sequencesOf({ sequences, targets }: LossEvaluation): readonly LossSequence[] {
  return sequences ?? [{ length: targets.length }];
}

function toRollout(evaluation: LossEvaluation, cut: Cut, row: number): Rollout {
  const { targets, signal, signals = {}, atIds, byStudent, oldLogProbs } = evaluation;
  const { start, end } = cut;
  const response = targets.subarray(start, end);
  const own = signal && cutSignal(signal, cut);
  const named = Object.entries(signals).map(
    ([teacher, each]) => [teacher, cutSignal(each, cut)] as const,
  );
  const offsets = [signal, ...Object.values(signals)].find((each) => each?.atOffsets)?.atOffsets;
  return {
    row,
    sample: 0,
    epoch: 0,
    prompt: Uint32Array.of(0),
    response,
    authors: Uint8Array.from(response, (_, at) =>
      (byStudent?.[start + at] ?? 1) ? AUTHOR.student : AUTHOR.teacher,
    ),
    finish: "length",
    ...(own && { signal: own }),
    ...(named.length > 0 && { signals: Object.fromEntries(named) }),
    ...(oldLogProbs && { oldLogProbs: oldLogProbs.subarray(start, end) }),
    ...(atIds && { atIds: atIds.subarray(offsets?.[start], offsets?.[end]) }),
    stats: NO_STATS,
  };
}

/** Rows of a signal as that of a response behind one token. */
function cutSignal(signal: TeacherSignal, { start, end }: Cut): TeacherSignal {
  const spans = spansOf(signal);
  return {
    ...sliceSignal(signal, start, end),
    from: 1,
    ...(spans && {
      spans: {
        run: spans.run.subarray(start, end),
        bears: spans.bears.subarray(start, end),
        others: spans.others.subarray(start, end),
      },
    }),
  };
}
