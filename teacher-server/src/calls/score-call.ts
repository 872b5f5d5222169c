import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { ScoreItem__Output } from "@tandem/proto/gen/tandem/v1/ScoreItem.js";
import type { ScoreRequest__Output } from "@tandem/proto/gen/tandem/v1/ScoreRequest.js";
import type { ScoreResult } from "@tandem/proto/gen/tandem/v1/ScoreResult.js";
import { admitScoreItem, type ValidScoreItem } from "../admission/admit-score.js";
import type { HeadWish } from "../scheduler/engine-step.js";
import type { JobProgress } from "../scheduler/scheduler.js";
import {
  drainingError,
  itemDeadline,
  type CallContext,
  type CallStream,
  type LiveCall,
} from "./call-context.js";
import { Outbox } from "./outbox.js";
import { ANSWER_OVERHEAD_BYTES, packFrames } from "./pack-frames.js";
import { toItemError, toWireUsage } from "./to-wire.js";

/** What a Score stream writes. */
export interface ScoreAnswers {
  readonly results: ScoreResult[];
  readonly errors: ReturnType<typeof toItemError>[];
}

interface ItemInFlight {
  readonly job: number;
  readonly cache: number;
}

/** One Score stream: every item is a job of its own with a cache that lives as long as the item. */
export class ScoreCall implements LiveCall {
  readonly #context: CallContext;
  readonly #stream: CallStream<ScoreAnswers>;
  readonly #outbox: Outbox<ScoreAnswers>;
  readonly #items = new Map<number, ItemInFlight>();
  #inputEnded = false;
  #draining = false;
  #ended = false;

  constructor(context: CallContext, stream: CallStream<ScoreAnswers>) {
    this.#context = context;
    this.#stream = stream;
    this.#outbox = new Outbox({
      create: (): ScoreAnswers => ({ results: [], errors: [] }),
      send: stream.send,
      limitBytes: context.limits.maxMessageBytes,
    });
  }

  receive(request: ScoreRequest__Output): void {
    for (const item of request.items) this.#receiveItem(item);
    for (const id of request.cancel) this.#cancel(id);
  }

  /** The client has half-closed. */
  endInput(): void {
    this.#inputEnded = true;
    this.#endIfDone();
  }

  drain(): void {
    this.#draining = true;
    this.#endIfDone();
  }

  /** The stream is gone: nothing of it is computed any more. */
  close(): void {
    for (const { job, cache } of this.#items.values()) {
      this.#context.loop.cancel(job);
      this.#context.pool.free(cache);
    }
    this.#items.clear();
  }

  /** Items have timeouts, not leases. */
  expireLeases(): void {}

  #receiveItem(raw: ScoreItem__Output): void {
    try {
      this.#context.assertAccepting();
      this.#assertRoom(raw.id);
      const item = admitScoreItem(raw, this.#context.limits);
      this.#stream.budget.admit(item.tokens.length);
      this.#submit(item);
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

  #submit(item: ValidScoreItem): void {
    const { loop, clock, nextCache } = this.#context;
    const cache = nextCache();
    const end = item.from + item.rows - 1;
    const job = loop.submit(
      {
        client: this.#stream.client,
        kind: "score",
        cache,
        tokens: item.tokens.subarray(0, end),
        headFrom: item.from - 1,
        head: headOf(item),
        encoding: item.signal.encoding,
        atomic: false,
        maxLength: end,
        deadlineMs: itemDeadline(clock.now(), item.timeoutMs, this.#stream.deadlineMs),
      },
      {
        onProgress: (progress) => this.#progress(item.id, progress),
        onFailure: (error) => this.#fail(item.id, error),
      },
    );
    this.#items.set(item.id, { job, cache });
  }

  #progress(id: number, { result, done, usage }: JobProgress): void {
    const groups = packFrames(
      result.frames,
      this.#context.limits.maxMessageBytes - ANSWER_OVERHEAD_BYTES,
    );
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
    this.#context.loop.cancel(item.job);
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
    if (item !== undefined) this.#context.pool.free(item.cache);
    this.#endIfDone();
  }

  #endIfDone(): void {
    if (this.#ended || this.#items.size > 0 || !(this.#inputEnded || this.#draining)) return;
    this.#ended = true;
    this.#outbox.flush();
    if (this.#inputEnded) this.#stream.end();
    else this.#stream.fail(drainingError());
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
