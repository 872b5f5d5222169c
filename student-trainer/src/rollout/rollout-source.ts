import { performance } from "node:perf_hooks";

import { invariant, unreachable } from "@tandem/shared/errors/invariant.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { hash32 } from "@tandem/shared/numeric/hash32.js";
import { uniformAt } from "@tandem/shared/numeric/philox.js";

import type { DataRow } from "../data/dataset.js";
import { RowCursor, type CursorState } from "../data/row-cursor.js";
import { raceAbort } from "../teacher/race-abort.js";
import type { TeacherClient } from "../teacher/teacher-client.js";
import type { JsonValue, RolloutRequest, RolloutSource } from "../training/rollout-source.js";
import { generateRows } from "./generate-rows.js";
import { interleaveRows, type WrittenRollouts } from "./interleave-rows.js";
import { toAcceptanceRule, toSamplingParams, type RolloutConfig } from "./rollout-config.js";
import { AUTHOR, type Rollout, type RolloutBatch, type RolloutStats } from "./rollout.js";
import { rngKeyOfOrder, type RolloutOrder } from "./rollout-order.js";
import { scoreRollouts } from "./score-rollouts.js";
import type { StudentEngine } from "./student-engine.js";

export interface RolloutSourceOptions {
  readonly config: RolloutConfig;
  readonly rows: readonly DataRow[];
  readonly shuffle: boolean;
  readonly runSeed: number;
  readonly stopIds: readonly number[];
  /** Absent only where neither writing nor the losses need one. */
  readonly teacher?: Pick<TeacherClient, "score" | "openSequence" | "generate">;
  /** Absent only for supervised data. */
  readonly engine?: StudentEngine;
}

interface SourceState {
  readonly batches: number;
  readonly cursor: CursorState;
}

const NO_STATS: RolloutStats = { judged: 0, accepted: 0, replaced: 0, computedPositions: 0 };

/** Makes the source of a run's training text. Its state is the data cursor and the number of batches written. */
export function createRolloutSource(options: RolloutSourceOptions): RolloutSource {
  return new DataRolloutSource(options);
}

class DataRolloutSource implements RolloutSource {
  readonly #options: RolloutSourceOptions;
  readonly #cursor: RowCursor;
  readonly #stopIds: ReadonlySet<number>;
  #batches = 0;
  /** Behind the last batch that was returned; later ones may be in the making. */
  #committed: SourceState;

  constructor(options: RolloutSourceOptions) {
    this.#options = options;
    const { rows, runSeed, shuffle, stopIds } = options;
    this.#cursor = new RowCursor({ count: rows.length, seed: runSeed, shuffle });
    this.#stopIds = new Set(stopIds);
    this.#committed = { batches: 0, cursor: this.#cursor.state };
  }

  state(): JsonValue {
    const { batches, cursor } = this.#committed;
    return { batches, cursor: { ...cursor } };
  }

  restore(state: JsonValue): void {
    this.#goTo(parseState(state));
  }

  #goTo(state: SourceState): void {
    this.#committed = state;
    this.#batches = state.batches;
    this.#cursor.restore(state.cursor);
  }

  async next(request: RolloutRequest): Promise<RolloutBatch> {
    const began = performance.now();
    try {
      const orders = this.#takeOrders();
      const index = this.#batches++;
      const behind = { batches: index + 1, cursor: this.#cursor.state };
      const write = () => this.#write(this.#kindOf(index), orders, request);
      const { engine } = this.#options;
      const written = await (engine === undefined ? write() : engine.exclusive(write));
      this.#committed = behind;
      return {
        index,
        rollouts: written.rollouts,
        stats: sumStats(written.rollouts),
        teacherWaitMs: written.teacherWaitMs,
        seconds: (performance.now() - began) / 1000,
      };
    } catch (error) {
      this.#goTo(this.#committed);
      throw error;
    }
  }

  #takeOrders(): RolloutOrder[] {
    const { config, rows } = this.#options;
    const orders: RolloutOrder[] = [];
    while (orders.length < config.rows) {
      const { row, epoch } = this.#cursor.next();
      const { index, prompt, answer } = rows[row] as DataRow;
      for (
        let sample = 0;
        sample < config.samplesPerPrompt && orders.length < config.rows;
        sample++
      ) {
        orders.push({
          row: index,
          sample,
          epoch,
          prompt,
          ...(answer === undefined ? {} : { answer }),
        });
      }
    }
    return orders;
  }

  /** TRL's coin (GKD): one per batch. */
  #kindOf(index: number): Exclude<RolloutConfig["kind"], "mixed"> {
    const { config, runSeed } = this.#options;
    if (config.kind !== "mixed") return config.kind;
    const uniform = uniformAt({ runSeed, rngKey: hash32([index]), position: 0, stream: "coin" });
    return uniform < config.lambda ? "on-policy" : config.otherwise;
  }

  #write(
    kind: Exclude<RolloutConfig["kind"], "mixed">,
    orders: readonly RolloutOrder[],
    request: RolloutRequest,
  ): Promise<WrittenRollouts> {
    switch (kind) {
      case "supervised":
        return this.#score(orders.map(toGivenRollout), request);
      case "sequence":
        return this.#writeByTeacher(orders, request);
      case "on-policy":
        return this.#writeByStudent(orders, request);
      case "skd":
        return this.#interleave(orders, request);
      default:
        return unreachable(kind);
    }
  }

  #score(rollouts: readonly Rollout[], { spec, studentTopK, abort }: RolloutRequest) {
    const { teacher, engine, runSeed } = this.#options;
    return scoreRollouts(rollouts, { teacher, engine, spec, studentTopK, runSeed, abort });
  }

  async #writeByStudent(
    orders: readonly RolloutOrder[],
    request: RolloutRequest,
  ): Promise<WrittenRollouts> {
    const { config, engine, runSeed } = this.#options;
    invariant(engine !== undefined, "on-policy rollouts need the student's engine");
    const responses = await generateRows({
      engine,
      prompts: orders.map((order) => ({ prompt: order.prompt, rngKey: rngKeyOfOrder(order) })),
      sampling: toSamplingParams(config.studentSampling),
      runSeed,
      maxResponse: config.maxResponse,
      stopIds: this.#stopIds,
      concurrency: config.concurrency,
      abort: request.abort,
    });
    const rollouts = orders.map((order, i): Rollout => {
      const { tokens, finish } = responses[i] as (typeof responses)[number];
      return toRollout(order, tokens, "student", finish);
    });
    return this.#score(rollouts, request);
  }

  async #writeByTeacher(
    orders: readonly RolloutOrder[],
    request: RolloutRequest,
  ): Promise<WrittenRollouts> {
    const { config, teacher, runSeed, stopIds } = this.#options;
    invariant(teacher !== undefined, "sequence rollouts need a teacher");
    const began = performance.now();
    // The student's own ids are known only once the text is there: then a second pass asks for everything.
    const later = request.studentTopK > 0;
    const writing = teacher.generate({
      abort: request.abort,
      items: orders.map((order) => ({ prompt: order.prompt, rngKey: rngKeyOfOrder(order) })),
      sampling: toSamplingParams(config.teacherSampling),
      maxResponse: config.maxResponse,
      stopIds,
      runSeed,
      signal: later ? { ...request.spec, topK: 0, lse: false, taus: [], draws: 0 } : request.spec,
    });
    const responses = await raceAbort(writing, request.abort);
    const teacherWaitMs = performance.now() - began;
    const rollouts = orders.map((order, i): Rollout => {
      const { tokens, finish, signal, computedPositions } = responses[
        i
      ] as (typeof responses)[number];
      const rollout = toRollout(order, tokens, "teacher", finish);
      const stats = { ...NO_STATS, computedPositions };
      return { ...rollout, stats, ...(later || signal === undefined ? {} : { signal }) };
    });
    if (!later) return { rollouts, teacherWaitMs };
    const scored = await this.#score(rollouts, request);
    return { ...scored, teacherWaitMs: teacherWaitMs + scored.teacherWaitMs };
  }

  #interleave(
    orders: readonly RolloutOrder[],
    { spec, studentTopK, abort }: RolloutRequest,
  ): Promise<WrittenRollouts> {
    const { config, teacher, engine, runSeed, stopIds } = this.#options;
    invariant(teacher !== undefined && engine !== undefined, "skd needs teacher and student");
    return interleaveRows({
      engine,
      teacher,
      orders,
      settings: {
        runSeed,
        blockLength: config.blockLength,
        draftAhead: config.draftAhead,
        maxResponse: config.maxResponse,
        stopIds: this.#stopIds,
        sampling: toSamplingParams(config.studentSampling),
        studentTopK,
      },
      request: {
        stopIds,
        rule: toAcceptanceRule(config.acceptance),
        sampling: toSamplingParams(config.teacherSampling),
        signal: spec,
      },
      concurrency: config.concurrency,
      abort,
    });
  }
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
  { row, sample, epoch, prompt }: RolloutOrder,
  response: Uint32Array,
  author: keyof typeof AUTHOR,
  finish: "stop" | "length",
): Rollout {
  const authors = new Uint8Array(response.length).fill(AUTHOR[author]);
  return { row, sample, epoch, prompt, response, authors, finish, stats: NO_STATS };
}

function sumStats(rollouts: readonly Rollout[]): RolloutStats {
  return rollouts.reduce(
    (sum, { stats }) => ({
      judged: sum.judged + stats.judged,
      accepted: sum.accepted + stats.accepted,
      replaced: sum.replaced + stats.replaced,
      computedPositions: sum.computedPositions + stats.computedPositions,
    }),
    NO_STATS,
  );
}

function parseState(state: JsonValue): SourceState {
  const { batches, cursor } = state as Record<string, JsonValue>;
  const { epoch, position } = (cursor ?? {}) as Record<string, JsonValue>;
  if (typeof batches !== "number" || typeof epoch !== "number" || typeof position !== "number") {
    throw new TandemError("DATA_LOSS", "the checkpoint's data cursor is damaged");
  }
  return { batches, cursor: { epoch, position } };
}
