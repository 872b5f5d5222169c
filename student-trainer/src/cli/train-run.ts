import { join } from "node:path";
import { performance } from "node:perf_hooks";

import { writeFileAtomic } from "@tandem/shared/checkpoint/write-file-atomic.js";

import { loadStudent } from "../checkpoint/load-student.js";
import { courseDigest } from "../config/load-run-config.js";
import { checkVocabulary } from "../config/check-vocabulary.js";
import type { RunConfig } from "../config/run-config.js";
import type { Dataset } from "../data/dataset.js";
import { loadPlainText } from "../data/load-plain-text.js";
import { evaluateStudent } from "../evaluation/evaluate-student.js";
import { LossSet } from "../losses/loss-set.js";
import type { SignalRequirement, TeacherRequirement } from "../losses/signal-requirement.js";
import type { TeacherName } from "../losses/loss-teachers.js";
import { createDegradedSource } from "../rollout/degraded-source.js";
import { usesStudent, writingKinds } from "../rollout/rollout-config.js";
import type { StudentEngine } from "../rollout/student-engine.js";
import { teacherNamed, type RolloutTeacher } from "../rollout/teacher-pool.js";
import { checkTeacherLimits } from "../teacher/check-limits.js";
import { runTraining } from "../training/trainer.js";
import type { EvaluationRecord, StepRecord } from "../training/run-log.js";
import { stepsPerRound, totalSteps } from "../training/training-config.js";
import { loadRows } from "./load-rows.js";
import { kvBytesFor, openStudent, openTrainingEngine, type OpenStudent } from "./open-student.js";
import { openSource } from "./open-source.js";
import { checkPlainText, plainTextOf } from "./plain-text-of.js";
import { closeTeachers, openTeachers, type OpenTeachers } from "./open-teachers.js";
import { openTranslation, translatedPool, type Translation } from "./open-translation.js";
import { runSizes } from "./run-sizes.js";
import { rememberTeacher } from "./remember-teacher.js";
import { recordSamples } from "./record-samples.js";
import { prepareRunDirectory } from "./run-directory.js";

export interface TrainRunOptions {
  readonly config: RunConfig;
  readonly resume: boolean;
  readonly abort: AbortSignal;
  /** A sentence for people. */
  readonly note: (text: string) => void;
  readonly onStep: (record: StepRecord, steps: number) => void;
  /** Put between the rollouts and the teacher's client, to watch or to disturb. */
  readonly wrapTeacher?: (teacher: RolloutTeacher) => RolloutTeacher;
}

export interface TrainRunResult {
  readonly runDir: string;
  readonly checkpoint: string;
  readonly interrupted: boolean;
  readonly summary: Readonly<Record<string, unknown>>;
}

/** A whole run: everything is checked before the first step, everything that was opened is closed behind the last. */
export async function trainRun(options: TrainRunOptions): Promise<TrainRunResult> {
  const { config, note } = options;
  const student = await openStudent(config.student.model, {
    revision: config.student.revision,
    stopIds: config.rollout.stopIds,
  });
  if (student.stopIds.length === 0)
    note(
      "nothing ends a text: each runs to rollout.maxResponse; give rollout.stopIds, or eos_token_id in the student's config.json",
    );
  const translation = await openTranslation(config);
  const train = await loadRows(config, student, "train", translation);
  const held = await loadRows(config, student, "evaluation", translation);
  const pieces = await loadPlainText(config.data.plainText, {
    codec: student.tokenizer,
    contextLength: student.config.contextLength,
  });
  note(
    `student ${student.dir} · ${train.rows.length} training rows${train.skipped > 0 ? ` (${train.skipped} too long)` : ""}${held.rows.length > 0 ? ` · ${held.rows.length} held out` : ""}${pieces.length > 0 ? ` · ${pieces.length} pieces of plain text` : ""}`,
  );
  const { abort } = options;
  const teachers = await openTeachers({
    config,
    student: student.handshake,
    note,
    abort,
    translation,
  });
  try {
    const losses = new LossSet(config.losses, runSizes(student, teachers, translation));
    checkVocabulary(config.rollout, losses, student.tokenizer.vocabularySize);
    const longestRow = longestForTeachers(train, config);
    for (const [name, { description }] of teachers) {
      checkTeacherLimits(description, {
        requirements: requirementsOf(losses.requirement(0), name, config),
        losses: losses.asking,
        rollout: config.rollout,
        drafts: writingKinds(config.rollout).includes("skd"),
        questionRows: questionRows(config),
        longestRow,
      });
      checkPlainText(config, { name, description, vocabulary: student.tokenizer.vocabularySize });
    }
    return await trainWith({
      ...options,
      losses,
      student,
      train,
      held,
      pieces,
      teachers,
      translation,
    });
  } finally {
    closeTeachers(teachers);
  }
}

interface Opened extends TrainRunOptions {
  readonly losses: LossSet;
  readonly student: OpenStudent;
  readonly train: Dataset;
  readonly held: Dataset;
  /** Of plain text. */
  readonly pieces: readonly Uint32Array[];
  readonly teachers: OpenTeachers;
  readonly translation: Translation | undefined;
}

/** What a teacher may be asked for: as the one that losses name, as that of rows, or both. */
function requirementsOf(
  { named = {}, ...own }: SignalRequirement,
  name: TeacherName,
  { data }: RunConfig,
): readonly TeacherRequirement[] {
  const asNamed = name === undefined ? undefined : named[name];
  const ofRows = name === undefined || data.teacher !== undefined;
  return [...(ofRows ? [own] : []), ...(asNamed === undefined ? [] : [asNamed])];
}

async function trainWith(opened: Opened): Promise<TrainRunResult> {
  const { config, student, losses, train, teachers, resume } = opened;
  const runDir = await prepareRunDirectory(config, resume);
  for (const [name, { description }] of teachers) {
    await rememberTeacher(runDir, { name, description, note: opened.note });
  }
  const began = performance.now();
  const model = await loadStudent(student.dir);
  const { engine, close } = await openTrainingEngine(model, {
    student,
    threads: config.training.threads,
    kvMemoryBytes: config.student.kvMemoryBytes ?? kvMemoryFor(config, opened),
  });
  try {
    const wrap = opened.wrapTeacher ?? ((teacher: RolloutTeacher) => teacher);
    const pool = translatedPool(teachers, student, opened.translation);
    const wrapped = new Map([...pool].map(([name, teacher]) => [name, wrap(teacher)]));
    const source = createDegradedSource(
      openSource({ config, student, rows: train.rows, engine, teachers: wrapped }),
      config.rollout.onTeacherLoss,
      opened.note,
    );
    // Given answers need the student's engine for evaluations only: then its weights are replaced there alone.
    const writesOwnText =
      usesStudent(config.rollout) || losses.asksByStudent || losses.usesStudentLogProbs;
    const steps = totalSteps(config.training, config.rollout.rows);
    const result = await runTraining({
      model,
      vocabulary: student.tokenizer.vocabularySize,
      losses,
      training: config.training,
      optimizer: config.optimizer,
      source: recordSamples(source, {
        path: join(runDir, "rollouts.jsonl"),
        samples: config.output.samples,
        stepsPerRound: stepsPerRound(config.training, config.rollout.rows),
        text: student.tokenizer,
        ...(writesOwnText && { engine }),
      }),
      rolloutBatchSize: config.rollout.rows,
      plainText: plainTextOf(config, opened.pieces, wrapped),
      publishWeights: async (weights) => {
        if (writesOwnText) await engine.publish(weights);
      },
      ...evaluationOf(opened, async () => {
        if (!writesOwnText) await engine.publish(model.weights);
        return engine;
      }),
      runDir,
      configDigest: courseDigest(config),
      resume,
      tokenizerDir: student.dir,
      clock: { nowMs: () => performance.now() },
      onStep: (record) => opened.onStep(record, steps),
      abort: opened.abort,
    });
    const seconds = (performance.now() - began) / 1000;
    const summary = { ...result.summary, seconds, checkpoint: result.checkpoint };
    await writeFileAtomic(join(runDir, "summary.json"), [
      Buffer.from(`${JSON.stringify(summary, undefined, 2)}\n`),
    ]);
    return { runDir, checkpoint: result.checkpoint, interrupted: result.interrupted, summary };
  } finally {
    await close();
  }
}

/** The evaluation callback, if there are held-out rows. */
function evaluationOf(
  { config, student, held, teachers, note }: Opened,
  current: () => Promise<StudentEngine>,
) {
  if (held.rows.length === 0) return {};
  const { evaluation } = config;
  return {
    evaluate: async (): Promise<Readonly<Record<string, number>>> => {
      const { measures } = await evaluateStudent({
        engine: await current(),
        rows: held.rows,
        config: evaluation,
        codec: student.tokenizer,
        maxResponse: evaluation.maxResponse ?? config.rollout.maxResponse,
        stopIds: student.stopIds,
        teacher:
          evaluation.teacherRows > 0 ? teacherNamed(teachers, evaluation.teacher) : undefined,
      });
      return { ...measures };
    },
    onEvaluation: ({ step, accuracy, count }: EvaluationRecord) =>
      note(
        `step ${step}: ${(100 * Number(accuracy)).toFixed(1)} % of ${count} held-out rows right`,
      ),
  };
}

/** For the most and longest rows that are written at once. */
function kvMemoryFor({ rollout, evaluation }: RunConfig, { student, train, held }: Opened): number {
  const longest = (rows: Dataset["rows"]) =>
    rows.reduce((max, { prompt }) => Math.max(max, prompt.length), 0);
  const rows = Math.max(rollout.concurrency, held.rows.length > 0 ? evaluation.concurrency : 0);
  const response = Math.max(rollout.maxResponse, evaluation.maxResponse ?? 0);
  const length = Math.max(longest(train.rows), longest(held.rows)) + response;
  return kvBytesFor(student.config, rows, length);
}

/** Positions that a teacher is asked about at once: the drafts of a block where it writes all texts together with the student, whole responses elsewhere. */
function questionRows({ rollout, teachers }: RunConfig): number {
  const onlyDrafts = writingKinds(rollout).every((kind) => kind === "skd");
  const one = Object.keys(teachers).length === 0;
  return onlyDrafts && one ? rollout.blockLength : rollout.maxResponse;
}

/** Tokens of the longest sequence that a teacher may be shown. */
function longestForTeachers({ rows }: Dataset, { rollout }: RunConfig): number {
  const longest = rows.reduce(
    (max, { prompt, teacherPrompt }) => Math.max(max, (teacherPrompt ?? prompt).length),
    0,
  );
  return longest + rollout.maxResponse;
}
