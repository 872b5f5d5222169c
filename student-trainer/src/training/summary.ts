import type { EvaluationRecord, RunRecord, StepRecord } from "./run-log.js";

/** A run in a few numbers; what does not apply is absent. */
export interface RunSummary {
  readonly steps: number;
  readonly rounds: number;
  /** Positions that carried loss, all steps. */
  readonly tokens: number;
  readonly lossFirst?: number;
  readonly lossLast?: number;
  readonly accuracyBefore?: number;
  readonly accuracyAfter?: number;
  /** Acceptance of the first and of the last batch. */
  readonly acceptanceFirst?: number;
  readonly acceptanceLast?: number;
  /** Time in steps, and in writing rollouts. */
  readonly trainSeconds: number;
  readonly rolloutSeconds: number;
  readonly teacherWaitSeconds: number;
  /** Of training alone. */
  readonly tokensPerSecond: number;
}

/** The summary is a function of the log, so a resumed run has the same one as an uninterrupted one. */
export function summarizeRun(records: readonly RunRecord[]): RunSummary {
  const steps = records.filter((record): record is StepRecord => record.kind === "step");
  const evaluations = records.filter(
    (record): record is EvaluationRecord => record.kind === "evaluation",
  );
  const total = (pick: (record: StepRecord) => number) =>
    steps.reduce((sum, record) => sum + pick(record), 0);
  const tokens = total((record) => record.tokens);
  const trainSeconds = total((record) => record.seconds);
  return {
    steps: steps.length,
    rounds: new Set(steps.map(({ round }) => round)).size,
    tokens,
    ...present("lossFirst", steps[0]?.loss),
    ...present("lossLast", steps.at(-1)?.loss),
    ...present("accuracyBefore", accuracyOf(evaluations[0])),
    ...present("accuracyAfter", accuracyOf(evaluations.at(-1))),
    ...present("acceptanceFirst", steps[0]?.acceptance),
    ...present("acceptanceLast", steps.at(-1)?.acceptance),
    trainSeconds,
    rolloutSeconds: total((record) => record.rolloutSeconds),
    teacherWaitSeconds: total((record) => record.teacherWaitMs) / 1000,
    tokensPerSecond: trainSeconds > 0 ? tokens / trainSeconds : 0,
  };
}

function accuracyOf(record: EvaluationRecord | undefined): number | undefined {
  return typeof record?.accuracy === "number" ? record.accuracy : undefined;
}

function present<K extends string>(
  name: K,
  value: number | undefined,
): { readonly [key in K]?: number } {
  return value === undefined ? {} : ({ [name]: value } as { readonly [key in K]: number });
}
