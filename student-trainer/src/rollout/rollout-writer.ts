import { performance } from "node:perf_hooks";

import { invariant, unreachable } from "@tandem/shared/errors/invariant.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { NO_SIGNAL, type SignalSpec } from "@tandem/shared/wire/teacher-signal.js";

import { asksAnything, type SignalRequirement } from "../losses/signal-requirement.js";
import type { TeacherName } from "../losses/loss-teachers.js";
import { raceAbort } from "../teacher/race-abort.js";
import type { RolloutRequest } from "../training/rollout-source.js";
import { generateRows } from "./generate-rows.js";
import { groupIndices } from "./group-indices.js";
import { interleaveRows, type WrittenRollouts } from "./interleave-rows.js";
import {
  toAcceptanceRule,
  toSamplingParams,
  type RolloutConfig,
  type WritingKind,
} from "./rollout-config.js";
import { AUTHOR, NO_STATS, type Rollout } from "./rollout.js";
import { rngKeyOfOrder, type RolloutOrder } from "./rollout-order.js";
import { firstSpec } from "./position-temperatures.js";
import { placeSignal, scoreRollouts } from "./score-rollouts.js";
import type { StudentEngine } from "./student-engine.js";
import { teacherNamed, type TeacherPool } from "./teacher-pool.js";

export interface RolloutWriterOptions {
  readonly config: RolloutConfig;
  readonly teachers: TeacherPool;
  /** Absent only for supervised data. */
  readonly engine: StudentEngine | undefined;
  readonly runSeed: number;
  readonly stopIds: readonly number[];
}

/** Writes responses to orders, each with every teacher's signal that is asked for. */
export class RolloutWriter {
  readonly #options: RolloutWriterOptions;
  readonly #stopIds: ReadonlySet<number>;

  constructor(options: RolloutWriterOptions) {
    this.#options = options;
    this.#stopIds = new Set(options.stopIds);
  }

  /** In the order of the orders. */
  async write(
    kind: WritingKind,
    orders: readonly RolloutOrder[],
    request: RolloutRequest,
  ): Promise<WrittenRollouts> {
    const written = await this.#responses(kind, orders, request);
    const scored = await this.score(written.rollouts, request);
    return { ...scored, teacherWaitMs: written.teacherWaitMs + scored.teacherWaitMs };
  }

  /** Responses with the signals that came with the writing. */
  #responses(
    kind: WritingKind,
    orders: readonly RolloutOrder[],
    request: RolloutRequest,
  ): Promise<WrittenRollouts> {
    switch (kind) {
      case "supervised":
        return Promise.resolve({ rollouts: orders.map(toGivenRollout), teacherWaitMs: 0 });
      case "sequence":
        return this.#byTeachers(orders, request);
      case "on-policy":
        return this.#byStudent(orders, request);
      case "skd":
        return this.#together(orders, request);
      default:
        return unreachable(kind);
    }
  }

  /** Adds the teachers' signals that texts lack. */
  score(rollouts: readonly Rollout[], request: RolloutRequest): Promise<WrittenRollouts> {
    const { teachers, engine, runSeed, config } = this.#options;
    const { concurrency } = config;
    return scoreRollouts(rollouts, { ...request, teachers, engine, runSeed, concurrency });
  }

  async #byStudent(
    orders: readonly RolloutOrder[],
    { abort, progress }: RolloutRequest,
  ): Promise<WrittenRollouts> {
    const { config, engine, runSeed } = this.#options;
    invariant(engine !== undefined, "on-policy rollouts need the student's engine");
    const responses = await generateRows({
      engine,
      prompts: orders.map((order) => ({ prompt: order.prompt, rngKey: rngKeyOfOrder(order) })),
      sampling: toSamplingParams(config.studentSampling, progress),
      runSeed,
      maxResponse: config.maxResponse,
      stopIds: this.#stopIds,
      concurrency: config.concurrency,
      abort,
    });
    const rollouts = orders.map((order, i): Rollout => {
      const { tokens, finish } = responses[i] as (typeof responses)[number];
      return toRollout(order, tokens, "student", finish);
    });
    return { rollouts, teacherWaitMs: 0 };
  }

  /** Each teacher writes its rows, all at the same time. */
  async #byTeachers(
    orders: readonly RolloutOrder[],
    request: RolloutRequest,
  ): Promise<WrittenRollouts> {
    const began = performance.now();
    const rollouts: (Rollout | undefined)[] = orders.map(() => undefined);
    const groups = groupIndices(orders, (order) => writerKey(this.#plan(order, request)));
    const writing = [...groups.values()].map(async (group) => {
      const own = group.map((i) => orders[i]!);
      const written = await this.#byOneTeacher(own, this.#plan(own[0]!, request), request);
      group.forEach((i, at) => (rollouts[i] = written[at]));
    });
    await Promise.all(writing);
    return { rollouts: rollouts as Rollout[], teacherWaitMs: performance.now() - began };
  }

  async #byOneTeacher(
    orders: readonly RolloutOrder[],
    { writer, role, spec, ownIds }: WritingPlan,
    { abort, progress }: RolloutRequest,
  ): Promise<readonly Rollout[]> {
    const { config, teachers, runSeed, stopIds } = this.#options;
    // The student's own ids are known only once the text is there: then a second pass asks for everything.
    const signal = ownIds ? NO_SIGNAL : spec;
    const writing = teacherNamed(teachers, writer).generate({
      abort,
      items: orders.map((order) => ({
        prompt: order.teacherPrompt ?? order.prompt,
        rngKey: rngKeyOfOrder(order),
      })),
      sampling: toSamplingParams(config.teacherSampling, progress),
      maxResponse: config.maxResponse,
      stopIds,
      runSeed,
      signal,
    });
    const responses = await raceAbort(writing, abort);
    return orders.map((order, i) => {
      const { tokens, finish, signal: own, computedPositions } = responses[i]!;
      const rollout = toRollout(order, tokens, "teacher", finish);
      const counted = { ...rollout, stats: { ...NO_STATS, computedPositions } };
      return own === undefined || role === null ? counted : placeSignal(counted, role, own);
    });
  }

  async #together(
    orders: readonly RolloutOrder[],
    request: RolloutRequest,
  ): Promise<WrittenRollouts> {
    const { config, teachers, engine, runSeed, stopIds } = this.#options;
    const { progress } = request;
    invariant(engine !== undefined, "skd needs the student's engine");
    const plans = new Map(orders.map((order) => [order, this.#plan(order, request)]));
    const planOf = (order: RolloutOrder): WritingPlan => plans.get(order)!;
    const written = await interleaveRows({
      engine,
      teacher: (order) => teacherNamed(teachers, planOf(order).writer),
      orders,
      settings: {
        runSeed,
        blockLength: config.blockLength,
        draftAhead: config.draftAhead,
        maxResponse: config.maxResponse,
        stopIds: this.#stopIds,
        sampling: toSamplingParams(config.studentSampling, progress),
        studentTopK: listLength(request),
      },
      request: {
        stopIds,
        rule: toAcceptanceRule(config.acceptance, progress),
        sampling: toSamplingParams(config.teacherSampling, progress),
        signal: (order) => planOf(order).spec,
      },
      concurrency: config.concurrency,
      abort: request.abort,
    });
    const rollouts = written.rollouts.map((rollout, i) => {
      const { signal, ...rest } = rollout;
      const { role } = planOf(orders[i]!);
      return signal === undefined || role === null ? rest : placeSignal(rest, role, signal);
    });
    return { ...written, rollouts };
  }

  /** Who writes an order with or for the student, and which losses' signal comes with it. */
  #plan(order: RolloutOrder, request: SignalRequirement): WritingPlan {
    const writer = this.#options.config.teacher ?? order.teacher;
    const named = writer === undefined ? undefined : request.named?.[writer];
    if (writer === order.teacher && (asksAnything(request) || named === undefined)) {
      const ownIds = request.studentTopK > 0;
      return { writer, role: undefined, spec: firstSpec(request), ownIds };
    }
    if (named === undefined) return { writer, role: null, spec: NO_SIGNAL, ownIds: false };
    return { writer, role: writer, spec: firstSpec(named), ownIds: named.studentTopK > 0 };
  }
}

interface WritingPlan {
  readonly writer: TeacherName;
  /** As whose the losses know the signal that comes with the writing; null: as nobody's. */
  readonly role: TeacherName | null;
  readonly spec: SignalSpec;
  /** Is the teacher also asked at the student's own ids? */
  readonly ownIds: boolean;
}

function writerKey({ writer, role }: WritingPlan): string {
  return JSON.stringify([writer ?? null, role ?? null, role === null]);
}

/** Of the student's own list, which all teachers share. */
function listLength({ studentTopK, named = {} }: SignalRequirement): number {
  return Math.max(studentTopK, ...Object.values(named).map((own) => own.studentTopK));
}

function toGivenRollout(order: RolloutOrder): Rollout {
  if (order.answer === undefined) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `row ${order.row} of the training data has no answer; supervised rollouts need one (data.answer)`,
      { field: "data.answer" },
    );
  }
  return toRollout(order, order.answer, "data", "stop");
}

function toRollout(
  { row, sample, epoch, teacher, prompt, teacherPrompt }: RolloutOrder,
  response: Uint32Array,
  author: keyof typeof AUTHOR,
  finish: "stop" | "length",
): Rollout {
  return {
    row,
    sample,
    epoch,
    ...(teacher === undefined ? {} : { teacher }),
    prompt,
    ...(teacherPrompt === undefined ? {} : { teacherPrompt }),
    response,
    authors: new Uint8Array(response.length).fill(AUTHOR[author]),
    finish,
    stats: NO_STATS,
  };
}
