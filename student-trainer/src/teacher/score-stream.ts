import { performance } from "node:perf_hooks";

import type { ScoreItem } from "@tandem/proto/gen/tandem/v1/ScoreItem.js";
import type { ScoreRequest } from "@tandem/proto/gen/tandem/v1/ScoreRequest.js";
import type { ScoreResponse__Output } from "@tandem/proto/gen/tandem/v1/ScoreResponse.js";
import type { ScoreResult__Output } from "@tandem/proto/gen/tandem/v1/ScoreResult.js";
import type { SignalFrame__Output } from "@tandem/proto/gen/tandem/v1/SignalFrame.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { u32ToBytes } from "./u32-bytes.js";
import { bytesOf } from "@tandem/shared/wire/little-endian.js";
import type { SignalSpec, TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";

import { Backoff } from "./backoff.js";
import { repeatDelay } from "./repeat-delay.js";
import type { Replica } from "./replica.js";
import type { ReplicaPool } from "./replica-pool.js";
import { responsePositions } from "./response-positions.js";
import { readFrames } from "./read-frames.js";
import { RetryBudget } from "./retry-budget.js";
import { fromItemError } from "./rpc-error.js";
import { StreamLanes, type Lane } from "./stream-lanes.js";
import type { TeacherDescription } from "./teacher-description.js";
import type { TeacherOptions } from "./teacher-options.js";
import { toWireSpec } from "./to-wire.js";

/** A sequence whose rows from … tokens.length−1 (and one more with `next`) are asked for. */
export interface ScoreQuestion {
  readonly tokens: Uint32Array;
  readonly from: number;
  readonly next?: boolean;
  readonly signal: SignalSpec;
  /** f32 [rows,J]: temperatures of each row, instead of `signal.taus`. */
  readonly taus?: Float32Array;
  readonly atOffsets?: Uint32Array;
  readonly atIds?: Uint32Array;
  /** For draws. */
  readonly runSeed?: number;
  readonly rngKey?: number;
}

export interface ScoreAnswer {
  readonly signal: TeacherSignal | undefined;
  readonly computedPositions: number;
  readonly reusedPositions: number;
}

interface Item {
  readonly question: ScoreQuestion;
  readonly backoff: Backoff;
  readonly resolve: (answer: ScoreAnswer) => void;
  readonly reject: (error: TandemError) => void;
  /** The question as it was sent, to one replica or with a hedge to two. */
  readonly copies: Set<Copy>;
  /** Runs while the item waits to be repeated or to be hedged. */
  timer?: NodeJS.Timeout;
  /** Where it failed last. */
  avoid?: Replica;
}

interface Copy {
  readonly id: number;
  readonly item: Item;
  readonly lane: Lane<ScoreRequest>;
  readonly frames: SignalFrame__Output[];
  readonly sentAt: number;
}

/** Many questions in flight on one stream per replica, each answered by its own promise; a lost stream is only a delay. */
export class ScoreStream {
  readonly #teacher: TeacherOptions;
  readonly #vocabSize: number;
  readonly #maxInFlight: number;
  readonly #budget: RetryBudget;
  readonly #lanes: StreamLanes<ScoreRequest, ScoreResponse__Output>;
  readonly #items = new Set<Item>();
  /** Items that wait for room, in the order they came. */
  readonly #waiting = new Set<Item>();
  /** By wire id, rising: the oldest first. */
  readonly #copies = new Map<number, Copy>();
  #nextId = 1;

  constructor(
    pool: ReplicaPool,
    teacher: TeacherOptions,
    { limits, vocabSize }: Pick<TeacherDescription, "limits" | "vocabSize">,
  ) {
    this.#teacher = teacher;
    this.#vocabSize = vocabSize;
    this.#maxInFlight = limits?.maxItemsInFlight || Infinity;
    this.#budget = new RetryBudget(teacher.retryBudget, performance.now());
    this.#lanes = new StreamLanes({
      pool,
      teacher,
      call: (client, options) => client.Score(options),
      handlers: {
        onMessage: (message) => this.#take(message),
        onLost: (lane) => this.#forget(lane),
        onUsable: () => this.#pump(),
        onGiveUp: (error) => this.#failAll(error),
        pendingSince: (lane) => this.#oldestOf(lane)?.sentAt,
        isPending: () => this.#items.size > 0,
      },
    });
  }

  /** @throws TandemError UNAVAILABLE after teacher.retryTimeoutMs without an answer, or what the server says of the item. */
  score(question: ScoreQuestion): Promise<ScoreAnswer> {
    const { retryTimeoutMs, random } = this.#teacher;
    return new Promise((resolve, reject) => {
      const backoff = new Backoff({ timeoutMs: retryTimeoutMs, random });
      const item: Item = { question, backoff, resolve, reject, copies: new Set() };
      this.#items.add(item);
      this.#waiting.add(item);
      this.#pump();
    });
  }

  close(): void {
    this.#lanes.close();
    this.#failAll(new TandemError("CANCELLED", "the connection to the teacher was closed"));
  }

  #pump(): void {
    for (const item of this.#waiting) {
      const lane = this.#lanes.choose(item.avoid);
      if (lane === undefined || lane.load >= this.#maxInFlight) return;
      this.#waiting.delete(item);
      this.#send(item, lane);
      this.#hedgeLater(item);
    }
  }

  /** One message per item: a long sequence with its ids may fill one by itself. */
  #send(item: Item, lane: Lane<ScoreRequest>): void {
    const id = this.#nextId++;
    const copy: Copy = { id, item, lane, frames: [], sentAt: performance.now() };
    this.#copies.set(id, copy);
    item.copies.add(copy);
    lane.load++;
    lane.send({ items: [this.#message(id, item.question)] });
  }

  /** Asks a second replica when the first one takes long. Equal bits, so it does not matter who is first. */
  #hedgeLater(item: Item): void {
    const { hedgeAfterMs } = this.#teacher;
    if (hedgeAfterMs === 0) return;
    item.timer = setTimeout(() => {
      const [first] = item.copies;
      const lane = first === undefined ? undefined : this.#lanes.choose(first.lane.replica);
      if (lane === undefined || lane === first?.lane || lane.load >= this.#maxInFlight) return;
      if (this.#budget.tryTake(performance.now())) this.#send(item, lane);
    }, hedgeAfterMs);
  }

  #message(id: number, question: ScoreQuestion): ScoreItem {
    return {
      id,
      tokens: u32ToBytes(question.tokens),
      from: question.from,
      next: question.next ?? false,
      signal: toWireSpec(question.signal, this.#teacher),
      ...(question.taus === undefined ? {} : { taus: bytesOf(question.taus) }),
      ...(question.atOffsets === undefined ? {} : { atOffsets: u32ToBytes(question.atOffsets) }),
      ...(question.atIds === undefined ? {} : { atIds: u32ToBytes(question.atIds) }),
      runSeed: question.runSeed ?? 0,
      rngKey: question.rngKey ?? 0,
      timeoutMs: this.#teacher.itemTimeoutMs,
    };
  }

  #take(message: ScoreResponse__Output): void {
    for (const result of message.results) {
      const copy = this.#copies.get(result.id);
      if (copy !== undefined) this.#takeResult(copy, result);
    }
    for (const error of message.errors) {
      const copy = this.#copies.get(error.id);
      if (copy !== undefined) this.#takeError(copy, fromItemError(error));
    }
    this.#pump();
  }

  #takeResult(copy: Copy, result: ScoreResult__Output): void {
    const { item, frames, lane } = copy;
    frames.push(...result.frames);
    if (!result.last) return;
    lane.replica.succeeded();
    this.#budget.answered(performance.now());
    this.#drop(copy);
    this.#settle(item);
    try {
      item.resolve({
        signal: readFrames(frames, this.#vocabSize),
        computedPositions: responsePositions(result.usage),
        reusedPositions: result.usage?.reusedPositions ?? 0,
      });
    } catch (caught) {
      item.reject(TandemError.from(caught));
    }
  }

  #takeError(copy: Copy, error: TandemError): void {
    const { item, lane } = copy;
    this.#drop(copy);
    // The other copy may still be answered.
    if (item.copies.size > 0) return;
    const again = error.retryable || error.code === "CANCELLED";
    const delayMs = again
      ? repeatDelay(error, { backoff: item.backoff, budget: this.#budget, replica: lane.replica })
      : undefined;
    if (delayMs === undefined) {
      this.#settle(item);
      item.reject(error);
      return;
    }
    item.avoid = lane.replica;
    clearTimeout(item.timer);
    item.timer = setTimeout(() => {
      this.#waiting.add(item);
      this.#pump();
    }, delayMs);
  }

  /** Ends an item: copies that are still out are called back. */
  #settle(item: Item): void {
    clearTimeout(item.timer);
    this.#items.delete(item);
    this.#waiting.delete(item);
    for (const copy of item.copies) {
      this.#drop(copy);
      copy.lane.send({ cancel: [copy.id] });
    }
  }

  #drop(copy: Copy): void {
    this.#copies.delete(copy.id);
    copy.item.copies.delete(copy);
    copy.lane.load--;
  }

  /** Everything sent on a lost stream waits again, unless its other copy is out. */
  #forget(lane: Lane<ScoreRequest>): void {
    for (const copy of this.#copies.values()) {
      if (copy.lane !== lane) continue;
      this.#drop(copy);
      if (copy.item.copies.size > 0) continue;
      clearTimeout(copy.item.timer);
      this.#waiting.add(copy.item);
    }
  }

  #failAll(error: TandemError): void {
    for (const item of this.#items) {
      this.#settle(item);
      item.reject(error);
    }
  }

  #oldestOf(lane: Lane<ScoreRequest>): Copy | undefined {
    for (const copy of this.#copies.values()) if (copy.lane === lane) return copy;
    return undefined;
  }
}
