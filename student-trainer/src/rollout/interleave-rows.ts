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

/** Rows are written in two crews: one is drafted while the other's blocks are with the teacher. */
const CREWS = 2;

interface Live {
  readonly row: DraftRow;
  readonly sequence: OpenSequence;
  readonly index: number;
  readonly crew: number;
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
  #crew = 0;
  /** Rows of the crew whose turn it is that have not finished their block. */
  readonly #turn = new Set<Live>();
  /** Blocks of the turn, sent together: the teacher judges them in one pass, and the crew comes back together. */
  #finished: { readonly live: Live; readonly block: DraftBlock }[] = [];
  /** Blocks with a verdict, and those of them that passed whole: what a guess that they do is worth. */
  #answered = 0;
  #passed = 0;
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
        prompt: order.teacherPrompt ?? order.prompt,
        maxResponse: settings.maxResponse,
      });
      const row = new DraftRow(order, engine.newCache(), settings);
      this.#live.add({ row, sequence, index, crew: this.#smallestCrew() });
    }
  }

  #smallestCrew(): number {
    const sizes = Array.from({ length: CREWS }, (_, crew) => this.#membersOf(crew).length);
    return sizes.indexOf(Math.min(...sizes));
  }

  #membersOf(crew: number): Live[] {
    return [...this.#live].filter((live) => live.crew === crew);
  }

  /** The rows of the next student step: those of the current turn, else of a crew that has all its verdicts. Only when every crew waits, and as
   * long as blocks pass more often than not, are more written on the guess that those before them pass; none: nothing can be written. */
  #choose(): Live[] {
    if (this.#turn.size === 0) this.#beginTurn();
    if (this.#turn.size > 0) return [...this.#turn];
    if (2 * this.#passed < this.#answered) return [];
    return [...this.#live].filter(({ row }) => row.canDraft);
  }

  #beginTurn(): void {
    for (let tried = 0; tried < CREWS; tried++) {
      this.#crew = (this.#crew + 1) % CREWS;
      const members = this.#membersOf(this.#crew);
      if (members.some(({ row }) => row.isGuessing)) continue;
      for (const live of members) if (live.row.canDraft) this.#turn.add(live);
      if (this.#turn.size > 0) return;
    }
  }

  async #draft(rows: readonly Live[]): Promise<void> {
    const { engine } = this.#options;
    const result = await engine.step(rows.map(({ row }) => row.toStepRow()));
    rows.forEach((live, i) => {
      const block = live.row.takeTokens(result.rows[i] as (typeof result.rows)[number]);
      if (block === undefined) return;
      this.#finished.push({ live, block });
      this.#turn.delete(live);
    });
    if (this.#turn.size === 0) {
      for (const { live, block } of this.#finished) this.#send(live, block);
      this.#finished = [];
    }
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
      this.#answered++;
      if (answer.replacement === undefined) this.#passed++;
      live.row.takeVerdict(block, answer);
      if (!live.row.isFinished) continue;
      this.#done[live.index] = live.row.toRollout();
      this.#retire(live);
    }
  }

  #retire(live: Live): void {
    this.#live.delete(live);
    this.#turn.delete(live);
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
