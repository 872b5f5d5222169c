import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { SamplingParams } from "@tandem/shared/sampling/sampling-params.js";

import type { EvaluationConfig } from "../config/run-config.js";
import type { DataRow } from "../data/dataset.js";
import type { TextCodec } from "../data/text-codec.js";
import { generateRows, type OwnResponse } from "../rollout/generate-rows.js";
import type { ScoringTeacher } from "../rollout/score-rollouts.js";
import type { StudentEngine } from "../rollout/student-engine.js";
import { studentSignals } from "../rollout/student-laws.js";
import { compareWithTeacher, type TeacherComparison } from "./compare-with-teacher.js";
import { createMatcher } from "./match-answer.js";

export interface EvaluateOptions {
  readonly engine: StudentEngine;
  readonly rows: readonly DataRow[];
  readonly config: EvaluationConfig;
  readonly codec: Pick<TextCodec, "decode">;
  readonly maxResponse: number;
  readonly stopIds: readonly number[];
  readonly teacher?: ScoringTeacher | undefined;
  readonly abort?: AbortSignal;
}

export interface EvaluatedRow {
  readonly row: DataRow;
  readonly response: OwnResponse;
  readonly text: string;
  readonly correct: boolean;
}

export interface Evaluation {
  readonly rows: readonly EvaluatedRow[];
  readonly measures: EvaluationMeasures;
}

/** Numbers for metrics.jsonl; the teacher's are absent when it was not asked. */
export interface EvaluationMeasures extends Partial<TeacherComparison> {
  /** Fraction of rows whose answer is right. */
  readonly accuracy: number;
  readonly count: number;
  /** Fraction of responses that ended by themselves. */
  readonly stopped: number;
  /** Tokens. */
  readonly meanLength: number;
  /** −log q of the reference answers' tokens, mean over them, nats; absent where none fits behind its prompt. */
  readonly answerLoss?: number;
}

const GREEDY: SamplingParams = { temperature: 0, topK: 0, topP: 1 };

/** Lets the student answer held-out rows greedily and compares with their references. A response that was cut at the length limit is wrong
 * unless an extractor finds its answer. Needs no teacher but for `teacherRows`.
 * @throws TandemError INVALID_ARGUMENT when a row has no answer; CANCELLED when aborted. */
export async function evaluateStudent(options: EvaluateOptions): Promise<Evaluation> {
  const { engine, config, codec, stopIds, maxResponse, teacher, abort } = options;
  const rows = options.rows.slice(0, config.rows);
  const responses = await engine.exclusive(() =>
    generateRows({
      engine,
      prompts: rows.map(({ prompt }) => ({ prompt, rngKey: 0 })),
      sampling: GREEDY,
      runSeed: 0,
      maxResponse,
      stopIds: new Set(stopIds),
      concurrency: config.concurrency,
      ...(abort === undefined ? {} : { abort }),
    }),
  );
  const matches = createMatcher(config.extract);
  const evaluated = rows.map((row, i): EvaluatedRow => {
    const response = responses[i] as OwnResponse;
    const { tokens, finish } = response;
    const text = codec.decode(finish === "stop" ? tokens.subarray(0, -1) : tokens);
    const whole = finish === "stop" || config.extract !== undefined;
    return { row, response, text, correct: whole && matches(text, referenceOf(row)) };
  });
  const judged = config.teacherRows > 0 && teacher !== undefined;
  const comparison = judged
    ? await engine.exclusive(() =>
        compareWithTeacher(engine, teacher, evaluated.slice(0, config.teacherRows)),
      )
    : {};
  const answerLoss = await engine.exclusive(() => lossOfAnswers(options, rows));
  const measures = { ...measure(evaluated), ...answerLoss, ...comparison };
  return { rows: evaluated, measures };
}

/** The student's cross-entropy on the reference answers that fit. */
async function lossOfAnswers(
  { engine, config, maxResponse }: EvaluateOptions,
  rows: readonly DataRow[],
): Promise<Pick<EvaluationMeasures, "answerLoss">> {
  const texts = rows.flatMap(({ prompt, answer }) =>
    answer === undefined || answer.length > maxResponse ? [] : [{ prompt, response: answer }],
  );
  const { concurrency } = config;
  const spec = { token: true, lse: true };
  const laws = await studentSignals(engine, texts, { spec, concurrency });
  let sum = 0;
  let count = 0;
  for (const law of laws) {
    law?.tokenLogit?.forEach((logit, r) => (sum += (law.lse?.[r] as number) - logit));
    count += law?.count ?? 0;
  }
  return count === 0 ? {} : { answerLoss: sum / count };
}

function referenceOf({ index, answerText }: DataRow): string {
  if (answerText !== undefined) return answerText;
  throw new TandemError(
    "INVALID_ARGUMENT",
    `evaluation row ${index} has no answer to compare with (data.answer)`,
    { field: "data.evaluation" },
  );
}

function measure(rows: readonly EvaluatedRow[]): EvaluationMeasures {
  const count = rows.length;
  const mean = (value: (row: EvaluatedRow) => number) =>
    count === 0 ? 0 : rows.reduce((sum, row) => sum + value(row), 0) / count;
  return {
    accuracy: mean(({ correct }) => (correct ? 1 : 0)),
    count,
    stopped: mean(({ response }) => (response.finish === "stop" ? 1 : 0)),
    meanLength: mean(({ response }) => response.tokens.length),
  };
}
