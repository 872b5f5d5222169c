import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { ScoreItem__Output } from "@tandem/proto/gen/tandem/v1/ScoreItem.js";
import type { ScoreRequest__Output } from "@tandem/proto/gen/tandem/v1/ScoreRequest.js";
import type { ScoreResult } from "@tandem/proto/gen/tandem/v1/ScoreResult.js";
import type { Ticket } from "../admission/admission.js";
import { scoreDemand, type Demand } from "../admission/demand.js";
import { admitScoreItem, type ValidScoreItem } from "../admission/admit-score.js";
import type { EncodedFrame, HeadWish } from "../scheduler/engine-step.js";
import { NO_USAGE, type JobUsage } from "../scheduler/job.js";
import { signalKey } from "../store/signal-key.js";
import { itemDeadline, type CallContext, type CallStream, type LiveCall } from "./call-context.js";
import { Outbox } from "./outbox.js";
import { ANSWER_OVERHEAD_BYTES, packFrames } from "./pack-frames.js";
import { StoreLookups } from "./store-lookups.js";
import { StreamEnd } from "./stream-end.js";
import { toItemError, toWireUsage } from "./to-wire.js";

/** What a Score stream writes. */
export interface ScoreAnswers {
  readonly results: ScoreResult[];
  readonly errors: ReturnType<typeof toItemError>[];
}

interface ScoreProgress {
  readonly frames: readonly EncodedFrame[];
  readonly done: boolean;
  readonly usage: JobUsage;
}

interface ItemInFlight {
  readonly item: ValidScoreItem;
  readonly key: Buffer;
  readonly cache: number;
  readonly arrivedMs: number;
  readonly demand: Demand;
  /** Its memory, and from when it waits for a step on, its place in the queue. */
  readonly tickets: Ticket[];
  /** Absent while the store is asked. */
  job?: number;
}

/** One Score stream. What the store has is answered from there; every other item is a job of its own with a cache that lives as long as the item. */
export class ScoreCall implements LiveCall {
  readonly #context: CallContext;
  readonly #stream: CallStream<ScoreAnswers>;
  readonly #outbox: Outbox<ScoreAnswers>;
  readonly #end: StreamEnd<ScoreAnswers>;
  readonly #items = new Map<number, ItemInFlight>();
  readonly #lookups: StoreLookups | undefined;

  constructor(context: CallContext, stream: CallStream<ScoreAnswers>) {
    this.#context = context;
    this.#stream = stream;
    this.#outbox = new Outbox({
      create: (): ScoreAnswers => ({ results: [], errors: [] }),
      send: stream.send,
      limitBytes: context.limits.maxMessageBytes,
    });
    this.#end = new StreamEnd(stream, this.#outbox, () => this.#items.size > 0);
    const { store } = context;
    this.#lookups = store && new StoreLookups({ store, isCongested: stream.isCongested });
  }

  receive(request: ScoreRequest__Output): void {
    for (const item of request.items) this.#receiveItem(item);
    for (const id of request.cancel) this.#cancel(id);
  }

  /** The client has half-closed. */
  endInput(): void {
    this.#end.inputEnded();
  }

  drain(): void {
    this.#end.draining();
  }

  /** The stream is gone: nothing of it is computed any more. */
  close(): void {
    this.#lookups?.close();
    for (const { job, cache, tickets } of this.#items.values()) {
      for (const ticket of tickets) ticket.release();
      if (job !== undefined) this.#context.loop.cancel(job);
      this.#context.pool.free(cache);
    }
    this.#items.clear();
  }

  /** The client reads again. */
  resume(): void {
    this.#lookups?.resume();
  }

  /** Items have timeouts, not leases. */
  expireLeases(): void {}

  #receiveItem(raw: ScoreItem__Output): void {
    try {
      this.#context.assertAccepting();
      this.#assertRoom(raw.id);
      const item = admitScoreItem(raw, this.#context.limits);
      this.#begin(item);
    } catch (caught) {
      this.#refuse(raw.id, TandemError.from(caught));
    }
  }

  #assertRoom(id: number): void {
    if (this.#items.has(id)) {
      throw new TandemError(
        "ALREADY_EXISTS",
        `item ${id} is in flight on this stream; choose another id`,
        { field: "items.id" },
      );
    }
    const limit = this.#context.limits.maxItemsInFlight;
    if (this.#items.size >= limit) {
      throw new TandemError(
        "RESOURCE_EXHAUSTED",
        `${limit} items are in flight on this stream, which is its limit; wait for results`,
        {
          field: "items",
          limit,
          retryDelayMs: 100,
        },
      );
    }
  }

  #begin(item: ValidScoreItem): void {
    const { clock, nextCache, teacher, admission, limits } = this.#context;
    const arrivedMs = clock.now();
    const deadlineMs = itemDeadline(arrivedMs, item.timeoutMs, this.#stream.deadlineMs);
    const demand = scoreDemand(item, limits, deadlineMs);
    const memory = admission.reserve(demand);
    this.#assertQuota(item, memory);
    const key = signalKey(teacher, item);
    const inFlight = { item, key, cache: nextCache(), arrivedMs, demand, tickets: [memory] };
    this.#items.set(item.id, inFlight);
    if (this.#lookups === undefined) return this.#submit(inFlight);
    this.#lookups.add(key, (frames) => {
      // Cancelled meanwhile, and perhaps followed by another with its id.
      if (this.#items.get(item.id) !== inFlight) return;
      try {
        if (frames === undefined) this.#submit(inFlight);
        else this.#answer(item.id, { frames, done: true, usage: this.#usageOfStored(inFlight) });
      } catch (caught) {
        this.#fail(item.id, TandemError.from(caught));
      }
    });
  }

  /** Last, so that what is refused for other reasons costs the client nothing of its quota. */
  #assertQuota(item: ValidScoreItem, memory: Ticket): void {
    try {
      this.#stream.budget.admit(item.tokens.length);
    } catch (error) {
      memory.release();
      throw error;
    }
  }

  #submit(inFlight: ItemInFlight): void {
    const { item, key, cache, demand, tickets } = inFlight;
    try {
      tickets.push(this.#context.admission.enqueue(demand));
    } catch (error) {
      this.#fail(item.id, TandemError.from(error));
      return;
    }
    const end = item.from + item.rows - 1;
    inFlight.job = this.#context.loop.submit(
      {
        client: this.#stream.client,
        owner: this.#stream.owner,
        priority: item.priority,
        kind: "score",
        cache,
        tokens: item.tokens.subarray(0, end),
        headFrom: item.from - 1,
        head: headOf(item),
        encoding: item.signal.encoding,
        atomic: false,
        identity: key.toString("latin1"),
        maxLength: end,
        deadlineMs: demand.deadlineMs,
      },
      {
        onProgress: ({ result: { frames }, done, usage, answer }) => {
          if (answer !== undefined) this.#context.store?.put(key, answer);
          this.#answer(item.id, { frames, done, usage });
        },
        onFailure: (error) => this.#fail(item.id, error),
      },
    );
  }

  #usageOfStored({ item, arrivedMs }: ItemInFlight): JobUsage {
    return {
      ...NO_USAGE,
      savedPositions: item.from + item.rows - 1,
      queueMs: this.#context.clock.now() - arrivedMs,
    };
  }

  #answer(id: number, { frames: all, done, usage }: ScoreProgress): void {
    const groups = packFrames(all, this.#context.limits.maxMessageBytes - ANSWER_OVERHEAD_BYTES);
    groups.forEach(({ frames, sizeBytes }, i) => {
      const last = done && i === groups.length - 1;
      const answer: ScoreResult = {
        id,
        frames: [...frames],
        last,
        usage: last ? toWireUsage(usage) : null,
      };
      this.#outbox.add(sizeBytes + ANSWER_OVERHEAD_BYTES, ({ results }) => results.push(answer));
    });
    if (!done) return;
    this.#context.observer.onPositions("prefill", usage.prefillPositions);
    this.#context.observer.onPositions("score", usage.computedPositions - usage.prefillPositions);
    this.#context.observer.onItem("Score", "OK", usage);
    this.#forget(id);
  }

  #cancel(id: number): void {
    const item = this.#items.get(id);
    if (item === undefined) return;
    if (item.job !== undefined) this.#context.loop.cancel(item.job);
    this.#fail(id, new TandemError("CANCELLED", `item ${id} was cancelled`));
  }

  #fail(id: number, error: TandemError): void {
    this.#refuse(id, error);
    this.#forget(id);
  }

  #refuse(id: number, error: TandemError): void {
    this.#context.observer.onItem("Score", error.code);
    if (error.code === "INTERNAL")
      this.#context.logger.error({ event: "item.failed", err: error }, "a score item failed");
    this.#outbox.add(ANSWER_OVERHEAD_BYTES + error.message.length, ({ errors }) =>
      errors.push(toItemError(error, id)),
    );
  }

  #forget(id: number): void {
    const item = this.#items.get(id);
    this.#items.delete(id);
    if (item !== undefined) {
      for (const ticket of item.tickets) ticket.release();
      this.#context.pool.free(item.cache);
    }
    this.#end.check();
  }
}

/** The law behind the last token refers to no token of the sequence: it is described for the teacher's own best one. */
function headOf(item: ValidScoreItem): HeadWish {
  const next = item.from + item.rows > item.tokens.length;
  return {
    targets: item.tokens.subarray(item.from),
    spec: item.signal.spec,
    ...(next && { sample: { temperature: 0, topK: 0, topP: 1 } }),
    ...(item.taus && { taus: item.taus }),
    ...(item.atOffsets && item.atIds && { atOffsets: item.atOffsets, atIds: item.atIds }),
    random: { runSeed: item.runSeed, rngKey: item.rngKey, firstPosition: 0 },
  };
}
