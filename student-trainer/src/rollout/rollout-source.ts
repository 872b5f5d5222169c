import { performance } from "node:perf_hooks";

import { unreachable } from "@tandem/shared/errors/invariant.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { hash32 } from "@tandem/shared/numeric/hash32.js";
import { uniformAt } from "@tandem/shared/numeric/philox.js";

import type { DataRow } from "../data/dataset.js";
import { RowCursor, type CursorState } from "../data/row-cursor.js";
import { scheduleAt } from "../losses/schedule.js";
import type { JsonValue, RolloutRequest, RolloutSource } from "../training/rollout-source.js";
import {
  adaptiveFromJson,
  adaptiveToJson,
  addTexts,
  chooseBatch,
  drawTexts,
  initialAdaptive,
  observeLoss,
  type AdaptiveState,
  type ReplayText,
} from "./adaptive-schedule.js";
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
  readonly adaptive: AdaptiveState;
}

/** Index of the coins that decide for the replay and draw from it. */
const REPLAY_COIN = 3;

/** Makes the source of a run's training text. Its state is the data cursor, the number of batches written, and the replay. */
export function createRolloutSource(options: RolloutSourceOptions): RolloutSource {
  return new DataRolloutSource(options);
}

class DataRolloutSource implements RolloutSource {
  readonly #options: RolloutSourceOptions;
  readonly #cursor: RowCursor;
  readonly #writer: RolloutWriter;
  readonly #rowsByIndex: ReadonlyMap<number, DataRow>;
  #batches = 0;
  #adaptive: AdaptiveState;
  /** Behind the last batch that was returned; later ones may be in the making. */
  #committed: SourceState;

  constructor(options: RolloutSourceOptions) {
    this.#options = options;
    const { rows, runSeed, shuffle, engine, teachers = new Map() } = options;
    this.#cursor = new RowCursor({ count: rows.length, seed: runSeed, shuffle });
    this.#writer = new RolloutWriter({ ...options, teachers, engine });
    this.#rowsByIndex = new Map(rows.map((row) => [row.index, row]));
    this.#adaptive = initialAdaptive(options.config.adaptive);
    this.#committed = { batches: 0, cursor: this.#cursor.state, adaptive: this.#adaptive };
  }

  state(): JsonValue {
    const { batches, cursor, adaptive } = this.#committed;
    const replays = this.#options.config.kind === "adaptive";
    return {
      batches,
      cursor: { ...cursor },
      ...(replays && { adaptive: adaptiveToJson(adaptive) }),
    };
  }

  observe({
    answerLoss,
  }: Readonly<Record<string, number | string>>): Readonly<Record<string, number>> | undefined {
    const { kind, adaptive } = this.#options.config;
    if (kind !== "adaptive" || typeof answerLoss !== "number") return undefined;
    this.#adaptive = observeLoss(this.#adaptive, answerLoss, adaptive);
    this.#committed = { ...this.#committed, adaptive: this.#adaptive };
    return { adaptiveThreshold: this.#adaptive.threshold };
  }

  restore(state: JsonValue): void {
    this.#goTo(parseState(state, this.#options.config));
  }

  #goTo(state: SourceState): void {
    this.#committed = state;
    this.#batches = state.batches;
    this.#cursor.restore(state.cursor);
    this.#adaptive = state.adaptive;
  }

  async next(request: RolloutRequest): Promise<RolloutBatch> {
    const began = performance.now();
    try {
      const orders = this.#takeOrders();
      const index = this.#batches++;
      const cursor = this.#cursor.state;
      const write = () => this.#write(index, orders, request);
      const { engine } = this.#options;
      const written = await (engine === undefined ? write() : engine.exclusive(write));
      this.#committed = { batches: index + 1, cursor, adaptive: this.#adaptive };
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
    this.#committed = {
      batches: ++this.#batches,
      cursor: this.#cursor.state,
      adaptive: this.#adaptive,
    };
  }

  #takeOrders(): RolloutOrder[] {
    const { config, rows } = this.#options;
    const orders: RolloutOrder[] = [];
    // A pair is two rollouts of one order.
    const count = config.kind === "pairs" ? config.rows / 2 : config.rows;
    while (orders.length < count) {
      const { row, epoch } = this.#cursor.next();
      const { index, prompt, answer, teacher, teacherPrompt } = rows[row] as DataRow;
      for (let sample = 0; sample < config.samplesPerPrompt && orders.length < count; sample++) {
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

  #write(
    index: number,
    orders: readonly RolloutOrder[],
    request: RolloutRequest,
  ): Promise<WrittenRollouts> {
    const { config } = this.#options;
    const { kind } = config;
    switch (kind) {
      case "mixed":
        return this.#writeKinds(
          orders.map((order) => this.#thrown(order, index, request.progress)),
          orders,
          request,
        );
      case "adaptive":
        return this.#writeAdaptive(index, orders, request);
      case "pairs":
        return this.#writeKinds(
          orders.flatMap(() => [config.otherwise, config.student]),
          orders.flatMap((order) => [order, order]),
          request,
        );
      case "supervised":
      case "sequence":
      case "on-policy":
      case "skd":
        return this.#writer.write(kind, orders, request);
      default:
        return unreachable(kind);
    }
  }

  /** What a coin says of an order: one per batch (GKD in TRL) or per row. */
  #thrown(order: RolloutOrder, batch: number, progress: number): WritingKind {
    const { config, runSeed } = this.#options;
    const rngKey = config.coin === "batch" ? hash32([batch]) : rngKeyOfOrder(order);
    const uniform = uniformAt({ runSeed, rngKey, position: 0, stream: "coin" });
    return uniform < scheduleAt(config.lambda, progress) ? config.student : config.otherwise;
  }

  async #writeAdaptive(
    batch: number,
    orders: readonly RolloutOrder[],
    request: RolloutRequest,
  ): Promise<WrittenRollouts> {
    const { config, runSeed } = this.#options;
    const at = { runSeed, rngKey: hash32([batch]), stream: "coin", index: REPLAY_COIN } as const;
    const uniform = uniformAt({ ...at, position: 0 });
    const { progress } = request;
    const choice = chooseBatch(this.#adaptive, { uniform, progress }, config.adaptive);
    if (choice === "replayed") {
      const draw = (i: number): number => uniformAt({ ...at, position: i + 1 });
      const texts = drawTexts(this.#adaptive, orders.length, draw);
      return this.#writer.score(
        texts.map((text) => this.#toRollout(text)),
        request,
      );
    }
    const kind = choice === "fresh" ? config.student : config.otherwise;
    const written = await this.#writeKinds(
      orders.map(() => kind),
      orders,
      request,
    );
    if (choice === "fresh") {
      this.#adaptive = addTexts(this.#adaptive, written.rollouts, config.adaptive);
    }
    return written;
  }

  #toRollout(text: ReplayText): Rollout {
    const row = this.#rowsByIndex.get(text.row);
    if (row === undefined) {
      throw new TandemError(
        "FAILED_PRECONDITION",
        `the replay has a text of row ${text.row}, which the training data has not any more; go on with the data of the run's beginning`,
        { field: "data.train" },
      );
    }
    const { prompt, teacher, teacherPrompt } = row;
    return {
      ...text,
      prompt,
      ...(teacher === undefined ? {} : { teacher }),
      ...(teacherPrompt === undefined ? {} : { teacherPrompt }),
      stats: NO_STATS,
    };
  }

  /** Rows of a kind are written together, one kind after the other. */
  async #writeKinds(
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

function parseState(state: JsonValue, config: RolloutConfig): SourceState {
  const { batches, cursor, adaptive } = state as Record<string, JsonValue>;
  const { epoch, position } = (cursor ?? {}) as Record<string, JsonValue>;
  if (typeof batches !== "number" || typeof epoch !== "number" || typeof position !== "number") {
    throw new TandemError("DATA_LOSS", "the checkpoint's data cursor is damaged");
  }
  return {
    batches,
    cursor: { epoch, position },
    adaptive:
      config.kind === "adaptive"
        ? adaptiveFromJson(adaptive ?? null)
        : initialAdaptive(config.adaptive),
  };
}
