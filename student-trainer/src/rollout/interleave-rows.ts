import { performance } from "node:perf_hooks";
import { setImmediate as turn } from "node:timers/promises";

import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { SignalSpec } from "@tandem/shared/wire/teacher-signal.js";

import type { OpenSequence } from "../teacher/interleave-stream.js";
import type { DraftAnswer, DraftBlock, SequenceRequest } from "../teacher/teacher-sequence.js";
import { DraftRow, type DraftSettings } from "./draft-row.js";
import type { Rollout } from "./rollout.js";
import { rngKeyOfOrder, type RolloutOrder } from "./rollout-order.js";
import type { StudentEngine } from "./student-engine.js";

/** The part of the teacher's client that interleaved writing uses. */
export interface InterleavingTeacher {
  openSequence(request: SequenceRequest): OpenSequence;
}

export interface InterleaveOptions {
  readonly engine: StudentEngine;
  /** One for all, or each order's. */
  readonly teacher: InterleavingTeacher | ((order: RolloutOrder) => InterleavingTeacher);
  readonly orders: readonly RolloutOrder[];
  readonly settings: DraftSettings;
  readonly request: Omit<
    SequenceRequest,
    "runSeed" | "rngKey" | "prompt" | "maxResponse" | "signal"
  > & {
    /** One for all, or each order's. */
    readonly signal: SignalSpec | ((order: RolloutOrder) => SignalSpec);
  };
  /** Rows written at once; a finished row makes room for the next. */
  readonly concurrency: number;
  readonly abort?: AbortSignal;
}

export interface WrittenRollouts {
  readonly rollouts: readonly Rollout[];
  /** Milliseconds in which nothing could be drafted because verdicts were outstanding. */
  readonly teacherWaitMs: number;
}

/** Rows are written in two halves: one is drafted while the other's blocks are with the teacher. */
const HALVES = [0, 1] as const;

interface Live {
  readonly row: DraftRow;
  readonly sequence: OpenSequence;
  readonly index: number;
  readonly half: number;
}

interface Turn {
  readonly rows: Set<Live>;
  /** The rows have unanswered blocks. */
  readonly isGuess: boolean;
}

interface Arrival {
  readonly live: Live;
  readonly block: DraftBlock;
  readonly answer: DraftAnswer;
}

/** Writes all orders together with the teacher. What is written depends on weights, seed and orders alone: not on block length, rows at
 * once, drafting ahead or the teacher's pace.
 * @throws TandemError of the teacher; CANCELLED when aborted. */
export async function interleaveRows(options: InterleaveOptions): Promise<WrittenRollouts> {
  const writer = new InterleavedWriter(options);
  try {
    return await writer.run();
  } finally {
    writer.close();
  }
}

class InterleavedWriter {
  readonly #options: InterleaveOptions;
  readonly #live = new Set<Live>();
  readonly #done: (Rollout | undefined)[];
  #arrivals: Arrival[] = [];
  #failure: TandemError | undefined;
  #wake: (() => void) | undefined;
  #nextOrder = 0;
  #half = 0;
  /** Rows of the current half that have not finished their block. */
  #turn: Turn = { rows: new Set(), isGuess: false };
  #teacherWaitMs = 0;

  constructor(options: InterleaveOptions) {
    this.#options = options;
    this.#done = options.orders.map(() => undefined);
  }

  async run(): Promise<WrittenRollouts> {
    const { abort } = this.#options;
    const onAbort = () => this.#fail(new TandemError("CANCELLED", "the rollout was interrupted"));
    abort?.addEventListener("abort", onAbort);
    if (abort?.aborted === true) onAbort();
    try {
      for (;;) {
        this.#takeArrivals();
        this.#admit();
        if (this.#live.size === 0) break;
        const rows = this.#choose();
        if (rows.length === 0) await this.#waitForArrival();
        else await this.#draft(rows);
      }
    } finally {
      abort?.removeEventListener("abort", onAbort);
    }
    return { rollouts: this.#done as Rollout[], teacherWaitMs: this.#teacherWaitMs };
  }

  close(): void {
    for (const live of this.#live) this.#retire(live);
  }

  #admit(): void {
    const { orders, concurrency, settings, request, teacher, engine } = this.#options;
    while (this.#live.size < concurrency && this.#nextOrder < orders.length) {
      const index = this.#nextOrder++;
      const order = orders[index] as RolloutOrder;
      const writer = typeof teacher === "function" ? teacher(order) : teacher;
      const { signal } = request;
      const sequence = writer.openSequence({
        ...request,
        signal: typeof signal === "function" ? signal(order) : signal,
        runSeed: settings.runSeed,
        rngKey: rngKeyOfOrder(order),
        prompt: order.prompt,
        maxResponse: settings.maxResponse,
      });
      const row = new DraftRow(order, engine.newCache(), settings);
      this.#live.add({ row, sequence, index, half: this.#smallerHalf() });
    }
  }

  #smallerHalf(): number {
    const sizes = HALVES.map((half) => [...this.#live].filter((live) => live.half === half).length);
    return sizes.indexOf(Math.min(...sizes));
  }

  /** The rows of the next student step: those of the current half that are inside a block, else the other half's. Only when every row waits
   * for a verdict are blocks written on the guess that the ones before them pass; none: nothing can be written. */
  #choose(): Live[] {
    const { rows, isGuess } = this.#turn;
    for (const live of rows) if (!live.row.canDraft) rows.delete(live);
    if (rows.size > 0 && !isGuess) return [...rows];
    const certain = this.#nextTurn((live) => live.row.canDraft && !live.row.isGuessing);
    if (certain.size > 0) this.#turn = { rows: certain, isGuess: false };
    else if (rows.size === 0) {
      this.#turn = { rows: this.#nextTurn((live) => live.row.canDraft), isGuess: true };
    }
    return [...this.#turn.rows];
  }

  /** Rows of the other half, or of this one again. */
  #nextTurn(mayDraft: (live: Live) => boolean): Set<Live> {
    for (let tried = 0; tried < HALVES.length; tried++) {
      this.#half = (this.#half + 1) % HALVES.length;
      const rows = [...this.#live].filter((live) => live.half === this.#half && mayDraft(live));
      if (rows.length > 0) return new Set(rows);
    }
    return new Set();
  }

  async #draft(rows: readonly Live[]): Promise<void> {
    const { engine } = this.#options;
    const result = await engine.step(rows.map(({ row }) => row.toStepRow()));
    rows.forEach((live, i) => {
      const block = live.row.takeToken(result.rows[i] as (typeof result.rows)[number]);
      if (block === undefined) return;
      this.#turn.rows.delete(live);
      this.#send(live, block);
    });
    // The model blocks this thread while it computes: let drafts out and verdicts in between two steps.
    await turn();
  }

  #send(live: Live, block: DraftBlock): void {
    live.sequence.draft(block).then(
      (answer) => {
        this.#arrivals.push({ live, block, answer });
        this.#wake?.();
      },
      (error: unknown) => this.#fail(TandemError.from(error)),
    );
  }

  #fail(error: TandemError): void {
    this.#failure ??= error;
    this.#wake?.();
  }

  #takeArrivals(): void {
    if (this.#failure !== undefined) throw this.#failure;
    const arrivals = this.#arrivals;
    this.#arrivals = [];
    for (const { live, block, answer } of arrivals) {
      if (answer.kind === "stale") continue;
      live.row.takeVerdict(block, answer);
      if (!live.row.isFinished) continue;
      this.#done[live.index] = live.row.toRollout();
      this.#retire(live);
    }
  }

  #retire(live: Live): void {
    this.#live.delete(live);
    this.#turn.rows.delete(live);
    this.#options.engine.release(live.row.cache);
    live.sequence.close();
  }

  async #waitForArrival(): Promise<void> {
    const began = performance.now();
    if (this.#arrivals.length === 0 && this.#failure === undefined) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
    this.#teacherWaitMs += performance.now() - began;
  }
}
