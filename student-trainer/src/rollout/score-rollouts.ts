import { performance } from "node:perf_hooks";

import { invariant } from "@tandem/shared/errors/invariant.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";

import {
  asksAnything,
  type SignalRequirement,
  type TeacherRequirement,
} from "../losses/signal-requirement.js";
import type { TeacherName } from "../losses/loss-teachers.js";
import type { ScoreAnswer, ScoreQuestion } from "../teacher/score-stream.js";
import { raceAbort } from "../teacher/race-abort.js";
import type { WrittenRollouts } from "./interleave-rows.js";
import type { Rollout } from "./rollout.js";
import { firstSpec, temperaturesOf } from "./position-temperatures.js";
import { rngKeyOfOrder } from "./rollout-order.js";
import type { StudentEngine } from "./student-engine.js";
import { joinTokens, studentSignals } from "./student-laws.js";
import { teacherNamed, type TeacherPool } from "./teacher-pool.js";

/** The part of the teacher's client that scoring uses. */
export interface ScoringTeacher {
  score(question: ScoreQuestion): Promise<ScoreAnswer>;
}

export interface ScoreOptions extends SignalRequirement {
  readonly teachers: TeacherPool<ScoringTeacher>;
  readonly engine: StudentEngine | undefined;
  /** Rows that the engine has room for at once. */
  readonly concurrency: number;
  readonly runSeed: number;
  readonly abort?: AbortSignal;
}

/** One signal that a rollout lacks. */
interface Missing extends TeacherRequirement {
  readonly rollout: Rollout;
  /** As losses call the teacher: undefined is the row's own. */
  readonly role: TeacherName;
  /** What came with the writing: not yet at the temperatures that depend on it. */
  readonly known: TeacherSignal | undefined;
}

/** Adds to finished texts the teachers' signals that are asked for and not there yet, all in flight at once. */
export async function scoreRollouts(
  rollouts: readonly Rollout[],
  options: ScoreOptions,
): Promise<WrittenRollouts> {
  const withIds = await addOwnIds(await addOldLogProbs(rollouts, options), options);
  const missing = withIds.map((rollout) => missingOf(rollout, options));
  if (missing.every((own) => own.length === 0)) return { rollouts: withIds, teacherWaitMs: 0 };
  const moments = await ownMoments(withIds, missing, options);
  const began = performance.now();
  const scoring = Promise.all(
    withIds.map(async (rollout, i) => {
      const signals = await Promise.all(
        missing[i]!.map(async (own) => [own.role, await askFor(own, options, moments[i])] as const),
      );
      return signals.reduce((sum, [role, answer]) => addSignal(sum, role, answer), rollout);
    }),
  );
  const scored = await raceAbort(scoring, options.abort);
  return { rollouts: scored, teacherWaitMs: performance.now() - began };
}

/** Puts a signal where losses look for it, its rows counted from the end of the student's prompt. */
export function placeSignal(rollout: Rollout, role: TeacherName, own: TeacherSignal): Rollout {
  const signal = { ...own, from: rollout.prompt.length };
  if (role === undefined) return { ...rollout, signal };
  return { ...rollout, signals: { ...rollout.signals, [role]: signal } };
}

function addSignal(rollout: Rollout, role: TeacherName, answer: ScoreAnswer): Rollout {
  const { stats } = rollout;
  const computedPositions = stats.computedPositions + answer.computedPositions;
  const counted = { ...rollout, stats: { ...stats, computedPositions } };
  return answer.signal === undefined ? counted : placeSignal(counted, role, answer.signal);
}

function missingOf(rollout: Rollout, { named = {}, ...own }: SignalRequirement): Missing[] {
  if (rollout.response.length === 0) return [];
  const roles: readonly (readonly [TeacherName, TeacherRequirement])[] = [
    [undefined, own],
    ...Object.entries(named),
  ];
  return roles.flatMap(([role, { spec, studentTopK, positionTaus }]) => {
    const known = role === undefined ? rollout.signal : rollout.signals?.[role];
    const lacksTaus = (positionTaus ?? []).length > 0 && (known?.tauCount ?? 0) === 0;
    const asked = asksAnything({ spec, studentTopK }) && (known === undefined || lacksTaus);
    const own = { rollout, role, spec, studentTopK, ...(positionTaus && { positionTaus }) };
    return asked ? [{ ...own, known }] : [];
  });
}

/** One question, or where temperatures depend on the teacher's moments one for those before it. */
async function askFor(
  missing: Missing,
  { teachers, runSeed }: ScoreOptions,
  moments: TeacherSignal | undefined,
): Promise<ScoreAnswer> {
  const { rollout, role, spec, studentTopK, known, positionTaus = [] } = missing;
  const { atIds, response } = rollout;
  const prompt = rollout.teacherPrompt ?? rollout.prompt;
  const teacher = teacherNamed(teachers, role ?? rollout.teacher);
  const text = { tokens: joinTokens({ prompt, response }), from: prompt.length };
  const question = {
    ...text,
    signal: spec,
    runSeed,
    rngKey: rngKeyOfOrder(rollout),
    ...(studentTopK > 0 &&
      atIds !== undefined && {
        atIds,
        atOffsets: evenOffsets(response.length, studentTopK),
      }),
  };
  if (positionTaus.length === 0) return teacher.score(question);
  const first =
    known === undefined ? await teacher.score({ ...text, signal: firstSpec(missing) }) : undefined;
  const theirs = known ?? first?.signal;
  invariant(theirs !== undefined && moments !== undefined, "both sides' moments were asked for");
  const taus = temperaturesOf(missing, { teacher: theirs, student: moments });
  const answer = await teacher.score({ ...question, signal: { ...spec, taus: [] }, taus });
  const computedPositions = answer.computedPositions + (first?.computedPositions ?? 0);
  return { ...answer, computedPositions };
}

/** The student's moments at each text, where temperatures depend on them. */
async function ownMoments(
  rollouts: readonly Rollout[],
  missing: readonly (readonly Missing[])[],
  { engine, concurrency }: ScoreOptions,
): Promise<readonly (TeacherSignal | undefined)[]> {
  const asks = missing.map((own) => own.some(({ positionTaus }) => positionTaus !== undefined));
  if (!asks.includes(true)) return [];
  if (engine === undefined) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      "losses: temperatures that depend on the student need its engine when texts are scored; supervised data has none: use dense: true",
    );
  }
  const spec = { moments: true };
  return studentSignals(engine, rollouts, { spec, concurrency });
}

/** What the student thinks of each token before it learns from any. */
async function addOldLogProbs(
  rollouts: readonly Rollout[],
  { ownLogProbs = false, engine, concurrency }: ScoreOptions,
): Promise<readonly Rollout[]> {
  if (!ownLogProbs) return rollouts;
  invariant(engine !== undefined, "the student's own probabilities need its engine");
  const spec = { token: true, lse: true };
  const laws = await studentSignals(engine, rollouts, { spec, concurrency });
  return rollouts.map((rollout, i) => {
    const { tokenLogit, lse } = laws[i] ?? {};
    const oldLogProbs = tokenLogit?.map((logit, r) => logit - (lse?.[r] as number));
    return oldLogProbs === undefined ? rollout : { ...rollout, oldLogProbs };
  });
}

/** The student's own best ids where any teacher is asked for its logits there. */
async function addOwnIds(
  rollouts: readonly Rollout[],
  { studentTopK, named = {}, engine, concurrency }: ScoreOptions,
): Promise<readonly Rollout[]> {
  const k = Math.max(studentTopK, ...Object.values(named).map((own) => own.studentTopK));
  if (k === 0 || rollouts.every(({ atIds }) => atIds !== undefined)) return rollouts;
  invariant(engine !== undefined, "the student's own ids need its engine");
  const laws = await studentSignals(engine, rollouts, { spec: { topK: k }, concurrency });
  return rollouts.map((rollout, i) => {
    const atIds = rollout.atIds ?? laws[i]?.topIds;
    return atIds === undefined ? rollout : { ...rollout, atIds };
  });
}

/** Offsets of n lists of k. */
export function evenOffsets(n: number, k: number): Uint32Array {
  return Uint32Array.from({ length: n + 1 }, (_, r) => r * k);
}
