import { invariant } from "@tandem/shared/errors/invariant.js";
import {
  NO_SIGNAL,
  type SignalSpec,
  type TeacherSignal,
} from "@tandem/shared/wire/teacher-signal.js";

import type { ScoringTeacher } from "../rollout/score-rollouts.js";
import type { StudentEngine } from "../rollout/student-engine.js";
import { joinTokens } from "../rollout/student-laws.js";
import {
  consistencyOfRow,
  LONGEST_COMPARED,
  meanConsistency,
  type Consistency,
} from "./consistency.js";
import type { EvaluatedRow } from "./evaluate-student.js";

/** What the teacher thinks of text that the student wrote, means over its tokens. */
export interface TeacherComparison extends Consistency {
  /** KL(teacher ‖ student) over the teacher's 64 best ids and one bucket for the rest, nats. */
  readonly teacherKl: number;
  /** Fraction of the student's tokens that are the teacher's best. */
  readonly teacherAgreement: number;
  /** log P_teacher of the student's tokens, nats. */
  readonly teacherLogProbability: number;
  /** Σ min(p, q) over the teacher's 64 best ids, a lower bound of the rate at which the student's tokens, sampled at temperature 1, would be
   * accepted as speculative drafts of the teacher. Source: DistillSpec, arXiv 2310.08461. */
  readonly draftAcceptance: number;
}

const TOP_K = 64;

/** Scores the student's own text with the teacher and, at the teacher's ids, with the student. */
export async function compareWithTeacher(
  engine: StudentEngine,
  teacher: ScoringTeacher,
  rows: readonly EvaluatedRow[],
): Promise<TeacherComparison> {
  const topK = Math.min(TOP_K, engine.runner.vocabulary);
  const spec: SignalSpec = { ...NO_SIGNAL, topK, token: true };
  const texts = rows.map(({ row, response }) => ({
    prompt: row.prompt,
    teacherPrompt: row.teacherPrompt ?? row.prompt,
    response: response.tokens,
  }));
  const answers = await Promise.all(
    texts.map(({ teacherPrompt: prompt, response }) =>
      teacher.score({
        tokens: joinTokens({ prompt, response }),
        from: prompt.length,
        signal: spec,
      }),
    ),
  );
  const each: TeacherComparison[] = [];
  for (const [i, text] of texts.entries()) {
    const signal = answers[i]?.signal;
    invariant(signal !== undefined, "a signal was asked for");
    const own = await studentAtTeacherIds(engine, text, signal);
    for (let r = 0; r < signal.count; r++) {
      each.push({
        teacherKl: klOfRow(signal, own, r),
        teacherAgreement: signal.rank?.[r] === 0 ? 1 : 0,
        teacherLogProbability: (signal.tokenLogit?.[r] ?? 0) - (signal.lse?.[r] ?? 0),
        draftAcceptance: acceptanceOfRow(signal, own, r),
        ...consistencyOfRow(signal, own, r),
      });
    }
  }
  const mean = (pick: (of: TeacherComparison) => number) =>
    each.length === 0 ? 0 : each.reduce((sum, own) => sum + pick(own), 0) / each.length;
  return {
    teacherKl: mean((own) => own.teacherKl),
    teacherAgreement: mean((own) => own.teacherAgreement),
    teacherLogProbability: mean((own) => own.teacherLogProbability),
    draftAcceptance: mean((own) => own.draftAcceptance),
    ...meanConsistency(each),
  };
}

async function studentAtTeacherIds(
  engine: StudentEngine,
  text: { readonly prompt: Uint32Array; readonly response: Uint32Array },
  signal: TeacherSignal,
): Promise<TeacherSignal> {
  const tokens = joinTokens(text);
  const cache = engine.newCache();
  const result = await engine.step([
    {
      cache,
      past: 0,
      tokens: tokens.subarray(0, tokens.length - 1),
      maxLength: tokens.length,
      head: {
        first: text.prompt.length - 1,
        targets: text.response,
        spec: { ...NO_SIGNAL, topK: Math.min(LONGEST_COMPARED, signal.topK) },
        atOffsets: Uint32Array.from({ length: signal.count + 1 }, (_, r) => r * signal.topK),
        atIds: signal.topIds as Uint32Array,
      },
    },
  ]);
  engine.release(cache);
  const own = result.rows[0]?.signal;
  invariant(own !== undefined, "a signal was asked for");
  return own;
}

/** Σ_v p log(p/q) over the list and the rest as one event; an event without teacher mass adds nothing. */
function klOfRow(teacher: TeacherSignal, student: TeacherSignal, r: number): number {
  const k = teacher.topK;
  const lseTeacher = teacher.lse?.[r] as number;
  const lseStudent = student.lse?.[r] as number;
  let kl = 0;
  let studentMass = 0;
  for (let j = 0; j < k; j++) {
    const logP = (teacher.topLogits?.[r * k + j] as number) - lseTeacher;
    const logQ = (student.atLogits?.[r * k + j] as number) - lseStudent;
    studentMass += Math.exp(logQ);
    if (logP > -Infinity) kl += Math.exp(logP) * (logP - logQ);
  }
  const logTail = teacher.logTail?.[r] as number;
  if (logTail > -Infinity) {
    // Never below the smallest float32 step of a mass near one: the student's rest is known by subtraction only.
    const studentTail = Math.max(1 - studentMass, 2 ** -24);
    kl += Math.exp(logTail) * (logTail - Math.log(studentTail));
  }
  return kl;
}

/** Σ min(p, q) over the teacher's list. */
function acceptanceOfRow(teacher: TeacherSignal, student: TeacherSignal, r: number): number {
  let sum = 0;
  for (let at = r * teacher.topK; at < (r + 1) * teacher.topK; at++) {
    const logP = (teacher.topLogits?.[at] as number) - (teacher.lse?.[r] as number);
    const logQ = (student.atLogits?.[at] as number) - (student.lse?.[r] as number);
    sum += Math.exp(Math.min(logP, logQ));
  }
  return sum;
}
