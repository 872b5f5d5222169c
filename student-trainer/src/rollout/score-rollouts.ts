import { performance } from "node:perf_hooks";

import type { StepRow } from "@tandem/shared/inference/step.js";
import { NO_SIGNAL, type SignalSpec } from "@tandem/shared/wire/teacher-signal.js";
import { invariant } from "@tandem/shared/errors/invariant.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";

import type { ScoreAnswer, ScoreQuestion } from "../teacher/score-stream.js";
import { raceAbort } from "../teacher/race-abort.js";
import type { WrittenRollouts } from "./interleave-rows.js";
import type { Rollout } from "./rollout.js";
import { rngKeyOfOrder } from "./rollout-order.js";
import type { StudentEngine } from "./student-engine.js";

/** The part of the teacher's client that scoring uses. */
export interface ScoringTeacher {
  score(question: ScoreQuestion): Promise<ScoreAnswer>;
}

export interface ScoreOptions {
  readonly teacher: ScoringTeacher | undefined;
  readonly engine: StudentEngine | undefined;
  readonly spec: SignalSpec;
  readonly studentTopK: number;
  readonly runSeed: number;
  readonly abort?: AbortSignal;
}

/** Is anything asked for? */
function asksNothing(spec: SignalSpec, studentTopK: number): boolean {
  return studentTopK === 0 && JSON.stringify(spec) === JSON.stringify(NO_SIGNAL);
}

/** Adds the teacher's signal to finished texts, all in flight at once; nothing is sent when nothing is asked for. */
export async function scoreRollouts(
  rollouts: readonly Rollout[],
  options: ScoreOptions,
): Promise<WrittenRollouts> {
  const { teacher, engine, spec, studentTopK, runSeed, abort } = options;
  if (asksNothing(spec, studentTopK)) return { rollouts, teacherWaitMs: 0 };
  if (teacher === undefined) {
    throw new TandemError("FAILED_PRECONDITION", "the losses need a teacher; set teacher.address", {
      field: "teacher.address",
    });
  }
  const chosen: (Uint32Array | undefined)[] = [];
  if (studentTopK > 0) {
    invariant(engine !== undefined, "the student's own ids need its engine");
    for (const rollout of rollouts) chosen.push(await ownTopIds(engine, rollout, studentTopK));
  }
  const began = performance.now();
  const scored = await Promise.all(
    rollouts.map(async (rollout, i): Promise<Rollout> => {
      const count = rollout.response.length;
      if (count === 0) return rollout;
      const atIds = chosen[i];
      const question = teacher.score({
        tokens: joinTokens(rollout),
        from: rollout.prompt.length,
        signal: spec,
        runSeed,
        rngKey: rngKeyOfOrder(rollout),
        ...(atIds === undefined
          ? {}
          : {
              atIds,
              atOffsets: Uint32Array.from({ length: count + 1 }, (_, r) => r * studentTopK),
            }),
      });
      const answer = await raceAbort(question, abort);
      const stats = { ...rollout.stats, computedPositions: answer.computedPositions };
      return {
        ...rollout,
        ...(answer.signal === undefined ? {} : { signal: answer.signal }),
        ...(atIds === undefined ? {} : { atIds }),
        stats,
      };
    }),
  );
  return { rollouts: scored, teacherWaitMs: performance.now() - began };
}

/** Prompt and response in one. */
export function joinTokens({
  prompt,
  response,
}: Pick<Rollout, "prompt" | "response">): Uint32Array {
  const tokens = new Uint32Array(prompt.length + response.length);
  tokens.set(prompt);
  tokens.set(response, prompt.length);
  return tokens;
}

/** u32 [n,k]: the student's k best ids at each response position of a finished text. */
async function ownTopIds(
  engine: StudentEngine,
  rollout: Rollout,
  k: number,
): Promise<Uint32Array | undefined> {
  if (rollout.response.length === 0) return undefined;
  const cache = engine.newCache();
  const tokens = joinTokens(rollout);
  const row: StepRow = {
    cache,
    past: 0,
    tokens: tokens.subarray(0, tokens.length - 1),
    maxLength: tokens.length,
    head: {
      first: rollout.prompt.length - 1,
      targets: rollout.response,
      spec: { ...NO_SIGNAL, topK: k },
    },
  };
  const result = await engine.step([row]);
  engine.release(cache);
  return result.rows[0]?.signal?.topIds;
}
