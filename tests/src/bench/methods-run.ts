import { rm } from "node:fs/promises";
import { join } from "node:path";
import { loadRunConfig } from "@tandem/student-trainer/config/load-run-config.js";
import { readRunLog, type StepRecord } from "@tandem/student-trainer/training/run-log.js";
import { faultOf } from "./methods-fault.js";
import type { MethodConfig } from "./methods-plan.js";
import type { MethodRun } from "./methods-results.js";
import type { MethodTeachers } from "./methods-teachers.js";
import { trainer } from "./trainer.js";

/** What a finished student is measured on. */
export interface Examination {
  readonly problems: number;
  /** So many of its answers are shown to the teacher. */
  readonly teacherRows: number;
}

export interface RunSetup {
  readonly method: MethodConfig;
  readonly seed: number;
  readonly teachers: MethodTeachers;
  readonly runDir: string;
  readonly examination: Examination;
  /** The student's distance to the teacher before any training. */
  readonly initialKl: number;
}

/** Trains with the real commands, examines the student, and judges the run. */
export async function runMethod(setup: RunSetup): Promise<MethodRun> {
  const { method, seed, teachers, runDir, examination } = setup;
  await rm(runDir, { recursive: true, force: true });
  const assignments = [
    ...teachers.addresses(method),
    `training.seed=${seed}`,
    "training.threads=1",
    `output.dir=${runDir}`,
  ];
  const config = loadRunConfig({ file: method.file, assignments });
  const flags = ["--config", method.file, ...assignments.flatMap((value) => ["--set", value])];
  const before = await teachers.payloadBytes();
  const began = performance.now();
  // The run's own evaluations are cut short where nothing depends on them: the student is examined below.
  const short = config.training.evaluateEvery === null ? ["--set", "evaluation.rows=1"] : [];
  await trainer("train", ...flags, ...short);
  const seconds = (performance.now() - began) / 1000;
  const signalBytes = (await teachers.payloadBytes()) - before;
  const measures = await examine(flags, examination);
  const records = await readRunLog(join(runDir, "metrics.jsonl"));
  const steps = records.filter((record): record is StepRecord => record.kind === "step");
  const measured = measureSteps(steps);
  const run = {
    method: method.name,
    seed,
    digest: method.digest,
    accuracy: measures.accuracy,
    problems: measures.count,
    teacherKl: measures.teacherKl,
    teacherAgreement: measures.teacherAgreement,
    ...measured,
    signalBytes,
    bytesPerPosition: signalBytes / measured.tokens,
    seconds,
  };
  const fault = faultOf(run, { method, records, initialKl: setup.initialKl });
  await rm(runDir, { recursive: true, force: true });
  return { ...run, ...(fault !== undefined && { fault }) };
}

interface Measures {
  readonly accuracy: number;
  readonly count: number;
  readonly teacherKl: number;
  readonly teacherAgreement: number;
}

/** The newest checkpoint of a run, or of no run the student it would start from. */
export async function examine(
  flags: readonly string[],
  { problems, teacherRows }: Examination,
): Promise<Measures> {
  const rows = [`evaluation.rows=${problems}`, `evaluation.teacherRows=${teacherRows}`];
  const stdout = await trainer("evaluate", ...flags, ...rows.flatMap((row) => ["--set", row]));
  return JSON.parse(stdout) as Measures;
}

function measureSteps(steps: readonly StepRecord[]) {
  const tenth = Math.max(1, Math.floor(steps.length / 10));
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  // Without weights: those may move.
  const mean = (records: readonly StepRecord[]) =>
    sum(records.map(({ losses }) => sum(Object.values(losses)))) / records.length;
  const fresh = steps.filter(({ iteration }) => iteration === 0);
  const tokensOf = (records: readonly StepRecord[]) => sum(records.map(({ tokens }) => tokens));
  const tokens = tokensOf(fresh);
  const byTeacher = sum(fresh.map((step) => step.teacherShare * step.tokens));
  const drafted = steps.flatMap(({ acceptance }) => acceptance ?? []);
  return {
    lossFirst: mean(steps.slice(0, tenth)),
    lossLast: mean(steps.slice(-tenth)),
    ...(drafted.length > 0 && { acceptanceFirst: drafted[0]!, acceptanceLast: drafted.at(-1)! }),
    teacherShare: byTeacher / tokens,
    steps: steps.length,
    tokens,
    trainedTokens: tokensOf(steps),
  };
}
