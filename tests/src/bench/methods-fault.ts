import type { RunRecord } from "@tandem/student-trainer/training/run-log.js";
import { SHIFTING, type MethodConfig } from "./methods-plan.js";
import type { MethodRun } from "./methods-results.js";

export interface Expected {
  readonly method: Pick<MethodConfig, "name" | "stepMetrics" | "evaluationMetrics">;
  /** Of metrics.jsonl. */
  readonly records: readonly RunRecord[];
  /** The student's distance to the teacher before any training. */
  readonly initialKl: number;
}

/** Why a run does not count, in words. */
export function faultOf(
  run: Pick<MethodRun, "lossFirst" | "lossLast" | "teacherKl">,
  { method, records, initialKl }: Expected,
): string | undefined {
  const strange = records.flatMap((record) => strangeOf(record, method))[0];
  if (strange !== undefined) return strange;
  if (method.evaluationMetrics.length > 0 && !records.some(({ kind }) => kind === "evaluation")) {
    return `no evaluation in metrics.jsonl, and so no ${method.evaluationMetrics[0]}`;
  }
  if (!(method.name in SHIFTING) && !(run.lossLast < run.lossFirst)) {
    return `the loss rose from ${run.lossFirst} to ${run.lossLast}`;
  }
  if (!(run.teacherKl < initialKl)) {
    return `the distance to the teacher rose from ${initialKl} to ${run.teacherKl}`;
  }
  return undefined;
}

/** What is wrong with a record. */
function strangeOf(record: RunRecord, method: Expected["method"]): readonly string[] {
  const { stepMetrics, evaluationMetrics } = method;
  const [values, wanted] =
    record.kind === "step"
      ? [{ ...record, ...record.losses, ...record.measures }, ["loss", "gradNorm", ...stepMetrics]]
      : [record, evaluationMetrics];
  const own = values as Readonly<Record<string, unknown>>;
  return wanted
    .filter((name) => !isFinite(own[name]))
    .map((name) =>
      name in own
        ? `${record.kind} ${record.step}: ${name} is not finite`
        : `${record.kind} ${record.step}: ${name} is missing from metrics.jsonl`,
    );
}

/** A finite number, or a list of such. JSON has no NaN: what is not finite was written as null. */
function isFinite(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0 && value.every(isFinite);
  return typeof value === "number" && Number.isFinite(value);
}
