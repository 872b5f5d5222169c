import { performance } from "node:perf_hooks";

import type { ScoreItem } from "@tandem/proto/gen/tandem/v1/ScoreItem.js";
import type { ScoreRequest } from "@tandem/proto/gen/tandem/v1/ScoreRequest.js";
import type { ScoreResponse__Output } from "@tandem/proto/gen/tandem/v1/ScoreResponse.js";
import type { ScoreResult__Output } from "@tandem/proto/gen/tandem/v1/ScoreResult.js";
import type { SignalFrame__Output } from "@tandem/proto/gen/tandem/v1/SignalFrame.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { u32ToBytes } from "./u32-bytes.js";
import type { SignalSpec, TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";

import { Backoff } from "./backoff.js";
import { responsePositions } from "./response-positions.js";
import { readFrames } from "./read-frames.js";
import { RetryingStream } from "./retrying-stream.js";
import { fromItemError } from "./rpc-error.js";
import type { TeacherConnection, TeacherDescription } from "./teacher-connection.js";
import type { TeacherOptions } from "./teacher-options.js";
import { toWireSpec } from "./to-wire.js";

/** A sequence whose rows from … tokens.length−1 (and one more with `next`) are asked for. */
export interface ScoreQuestion {
  readonly tokens: Uint32Array;
  readonly from: number;
  readonly next?: boolean;
  readonly signal: SignalSpec;
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

interface Pending {
  readonly id: number;
  readonly question: ScoreQuestion;
  readonly frames: SignalFrame__Output[];
  readonly backoff: Backoff;
  readonly resolve: (answer: ScoreAnswer) => void;
  readonly reject: (error: TandemError) => void;
  sentAt: number;
  state: "waiting" | "sent" | "delayed";
  timer?: NodeJS.Timeout;
}

/** Many questions in flight on one stream, each answered by its own promise; a lost stream is only a delay. */
export class ScoreStream {
  readonly #teacher: TeacherOptions;
  readonly #vocabSize: number;
  readonly #maxInFlight: number;
  readonly #stream: RetryingStream<ScoreRequest, ScoreResponse__Output>;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #inFlight = 0;

  constructor(
    connection: TeacherConnection,
    teacher: TeacherOptions,
    { limits, vocabSize }: Pick<TeacherDescription, "limits" | "vocabSize">,
  ) {
    this.#teacher = teacher;
    this.#vocabSize = vocabSize;
    this.#maxInFlight = limits?.maxItemsInFlight || Infinity;
    this.#stream = new RetryingStream({
      connection,
      teacher,
      call: (client, options) => client.Score(options),
      handlers: {
        onOpen: () => this.#pump(),
        onMessage: (message) => this.#take(message),
        onLost: () => this.#forgetSent(),
        onFatal: (error) => this.#failAll(error),
        pendingSince: () => this.#pendingSince(),
      },
    });
  }

  /** @throws TandemError UNAVAILABLE after teacher.retryTimeoutMs without an answer, or what the server says of the item. */
  score(question: ScoreQuestion): Promise<ScoreAnswer> {
    const { retryTimeoutMs, random } = this.#teacher;
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      this.#pending.set(id, {
        id,
        question,
        frames: [],
        backoff: new Backoff({ timeoutMs: retryTimeoutMs, random }),
        resolve,
        reject,
        sentAt: performance.now(),
        state: "waiting",
      });
      if (this.#stream.isOpen) this.#pump();
      else this.#stream.ensureOpen();
    });
  }

  close(): void {
    this.#stream.close();
    this.#failAll(new TandemError("CANCELLED", "the connection to the teacher was closed"));
  }

  /** One message per item: a long sequence with its ids may fill one by itself. */
  #pump(): void {
    for (const item of this.#pending.values()) {
      if (!this.#stream.isOpen || this.#inFlight >= this.#maxInFlight) return;
      if (item.state !== "waiting") continue;
      item.state = "sent";
      item.sentAt = performance.now();
      item.frames.length = 0;
      this.#inFlight++;
      this.#stream.send({ items: [this.#message(item)] });
    }
  }

  #message({ id, question }: Pending): ScoreItem {
    return {
      id,
      tokens: u32ToBytes(question.tokens),
      from: question.from,
      next: question.next ?? false,
      signal: toWireSpec(question.signal, this.#teacher),
      ...(question.atOffsets === undefined ? {} : { atOffsets: u32ToBytes(question.atOffsets) }),
      ...(question.atIds === undefined ? {} : { atIds: u32ToBytes(question.atIds) }),
      runSeed: question.runSeed ?? 0,
      rngKey: question.rngKey ?? 0,
      timeoutMs: this.#teacher.itemTimeoutMs,
    };
  }

  #take(message: ScoreResponse__Output): void {
    for (const result of message.results) {
      const item = this.#pending.get(result.id);
      if (item?.state === "sent") this.#takeResult(item, result);
    }
    for (const error of message.errors) {
      const item = this.#pending.get(error.id);
      if (item?.state === "sent") this.#takeError(item, fromItemError(error));
    }
    this.#pump();
  }

  #takeResult(item: Pending, result: ScoreResult__Output): void {
    item.frames.push(...result.frames);
    if (!result.last) return;
    this.#settle(item);
    try {
      item.resolve({
        signal: readFrames(item.frames, this.#vocabSize),
        computedPositions: responsePositions(result.usage),
        reusedPositions: result.usage?.reusedPositions ?? 0,
      });
    } catch (caught) {
      item.reject(TandemError.from(caught));
    }
  }

  #takeError(item: Pending, error: TandemError): void {
    const again = error.retryable || error.code === "CANCELLED";
    const delayMs = again ? item.backoff.next(error.retryDelayMs) : undefined;
    if (delayMs === undefined) {
      this.#settle(item);
      item.reject(error);
      return;
    }
    this.#inFlight--;
    item.state = "delayed";
    item.timer = setTimeout(() => {
      item.state = "waiting";
      if (this.#stream.isOpen) this.#pump();
      else this.#stream.ensureOpen();
    }, delayMs);
  }

  #settle(item: Pending): void {
    if (item.state === "sent") this.#inFlight--;
    clearTimeout(item.timer);
    this.#pending.delete(item.id);
  }

  #forgetSent(): void {
    this.#inFlight = 0;
    for (const item of this.#pending.values()) if (item.state === "sent") item.state = "waiting";
  }

  #failAll(error: TandemError): void {
    for (const item of this.#pending.values()) {
      this.#settle(item);
      item.reject(error);
    }
    this.#inFlight = 0;
  }

  /** Of those sent; items that wait for room or their time cannot be late. While the stream is down, any item keeps it coming back. */
  #pendingSince(): number | undefined {
    let oldest: number | undefined;
    for (const item of this.#pending.values()) {
      const since = item.state === "sent" ? item.sentAt : performance.now();
      if (oldest === undefined || since < oldest) oldest = since;
    }
    return oldest;
  }
}
