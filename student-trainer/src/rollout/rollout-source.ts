import { performance } from "node:perf_hooks";

import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { hash32 } from "@tandem/shared/numeric/hash32.js";
import { uniformAt } from "@tandem/shared/numeric/philox.js";

import type { DataRow } from "../data/dataset.js";
import { RowCursor, type CursorState } from "../data/row-cursor.js";
import { scheduleAt } from "../losses/schedule.js";
import type { JsonValue, RolloutRequest, RolloutSource } from "../training/rollout-source.js";
import { groupIndices } from "./group-indices.js";
import type { WrittenRollouts } from "./interleave-rows.js";
import type { RolloutConfig, WritingKind } from "./rollout-config.js";
import { NO_STATS, type Rollout, type RolloutBatch, type RolloutStats } from "./rollout.js";
import { rngKeyOfOrder, type RolloutOrder } from "./rollout-order.js";
import { RolloutWriter } from "./rollout-writer.js";
import type { StudentEngine } from "./student-engine.js";
import type { TeacherPool } from "./teacher-pool.js";

export interface RolloutSourceOptions {
  readonly config: RolloutConfig;
  readonly rows: readonly DataRow[];
  readonly shuffle: boolean;
  readonly runSeed: number;
  readonly stopIds: readonly number[];
  /** Those that writing and the losses need. */
  readonly teachers?: TeacherPool;
  /** Absent only for supervised data. */
  readonly engine?: StudentEngine;
}

interface SourceState {
  readonly batches: number;
  readonly cursor: CursorState;
}

/** Makes the source of a run's training text. Its state is the data cursor and the number of batches written. */
export function createRolloutSource(options: RolloutSourceOptions): RolloutSource {
  return new DataRolloutSource(options);
}

class DataRolloutSource implements RolloutSource {
  readonly #options: RolloutSourceOptions;
  readonly #cursor: RowCursor;
  readonly #writer: RolloutWriter;
  #batches = 0;
  /** Behind the last batch that was returned; later ones may be in the making. */
  #committed: SourceState;

  constructor(options: RolloutSourceOptions) {
    this.#options = options;
    const { rows, runSeed, shuffle, engine, teachers = new Map() } = options;
    this.#cursor = new RowCursor({ count: rows.length, seed: runSeed, shuffle });
    this.#writer = new RolloutWriter({ ...options, teachers, engine });
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
      const kinds = orders.map((order) => this.#kindOf(order, index, request.progress));
      const write = () => this.#write(kinds, orders, request);
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

  skip(): void {
    this.#takeOrders();
    this.#committed = { batches: ++this.#batches, cursor: this.#cursor.state };
  }

  #takeOrders(): RolloutOrder[] {
    const { config, rows } = this.#options;
    const orders: RolloutOrder[] = [];
    while (orders.length < config.rows) {
      const { row, epoch } = this.#cursor.next();
      const { index, prompt, answer, teacher, teacherPrompt } = rows[row] as DataRow;
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
          ...(teacher === undefined ? {} : { teacher }),
          ...(teacherPrompt === undefined ? {} : { teacherPrompt }),
        });
      }
    }
    return orders;
  }

  #kindOf(order: RolloutOrder, batch: number, progress: number): WritingKind {
    const { config, runSeed } = this.#options;
    if (config.kind !== "mixed") return config.kind;
    const rngKey = config.coin === "batch" ? hash32([batch]) : rngKeyOfOrder(order);
    const uniform = uniformAt({ runSeed, rngKey, position: 0, stream: "coin" });
    return uniform < scheduleAt(config.lambda, progress) ? config.student : config.otherwise;
  }

  /** Rows of a kind are written together, one kind after the other. */
  async #write(
    kinds: readonly WritingKind[],
    orders: readonly RolloutOrder[],
    request: RolloutRequest,
  ): Promise<WrittenRollouts> {
    const rollouts: (Rollout | undefined)[] = orders.map(() => undefined);
    let teacherWaitMs = 0;
    for (const [kind, rows] of groupIndices(kinds, (own) => own)) {
      const own = rows.map((row) => orders[row]!);
      const written = await this.#writer.write(kind, own, request);
      rows.forEach((row, at) => (rollouts[row] = written.rollouts[at]));
      teacherWaitMs += written.teacherWaitMs;
    }
    return { rollouts: rollouts as Rollout[], teacherWaitMs };
  }
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
