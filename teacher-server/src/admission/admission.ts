import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { Clock } from "@tandem/shared/telemetry/clock.js";
import type { Demand } from "./demand.js";

export interface AdmissionOptions {
  /** What all items that are here, and all answers that wait for their reader, may take. */
  readonly limitBytes: number;
  /** An item that would wait longer than this before it is computed is refused at once. */
  readonly maxQueueMs: number;
  readonly clock: Clock;
}

/** The place of one item; given back once, when its answer is on its way or it is gone. */
export interface Ticket {
  readonly release: () => void;
}

/** Room is given back with every step. */
const ROOM_RETRY_MS = 200;

/** How much of an item's time may be spent waiting. The rest is for computing it, and for an engine that turns out slower than it was: an
 * item that is let in and then misses its deadline has cost what others would have needed. */
const QUEUE_SHARE = 0.5;

/** Over how much computing time the measured rate is averaged. */
const RATE_WINDOW_MS = 5_000;

/** Decides, before any work, whether there is memory and time for an item. What is let in fits; what is refused hears when to try again. */
export class Admission {
  readonly #options: AdmissionOptions;
  #usedBytes = 0;
  #queuedPositions = 0;
  /** Positions and milliseconds of computing, older ones counting less. */
  #computed = { positions: 0, ms: 0 };

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  get limitBytes(): number {
    return this.#options.limitBytes;
  }

  get queuedPositions(): number {
    return this.#queuedPositions;
  }

  /** Memory alone, for an item that may not need the model.
   * @throws TandemError OUT_OF_RANGE for what never fits, RESOURCE_EXHAUSTED for what does not fit now. */
  reserve(demand: Demand): Ticket {
    this.#assertRoom(demand);
    return this.hold(demand.bytes);
  }

  /** A place in the queue.
   * @throws TandemError RESOURCE_EXHAUSTED for what would wait too long. */
  enqueue(demand: Demand): Ticket {
    this.#assertTime(demand);
    this.#queuedPositions += demand.positions;
    return once(() => (this.#queuedPositions -= demand.positions));
  }

  /** Bytes that are there already: an answer that its reader has not taken. */
  hold(bytes: number): Ticket {
    this.#usedBytes += bytes;
    return once(() => (this.#usedBytes -= bytes));
  }

  /** A step was computed while other items waited: how fast the engine is when it has as much to do as it can. A step with room to spare says nothing
   * about that: its few positions take nearly as long as many. */
  onFullStep(positions: number, elapsedMs: number): void {
    const keep = Math.exp(-elapsedMs / RATE_WINDOW_MS);
    this.#computed = {
      positions: this.#computed.positions * keep + positions,
      ms: this.#computed.ms * keep + elapsedMs,
    };
  }

  #assertRoom({ bytes, field }: Demand): void {
    const limit = this.#options.limitBytes;
    if (bytes > limit) {
      throw new TandemError(
        "OUT_OF_RANGE",
        `${field}: the item and its answer take ${bytes} bytes; this server has ${limit} for all items: ask for fewer rows or parts, or raise --memory-limit`,
        { field, limit },
      );
    }
    if (this.#usedBytes + bytes <= limit) return;
    throw new TandemError(
      "RESOURCE_EXHAUSTED",
      `${field}: the item takes ${bytes} bytes, and ${this.#usedBytes} of ${limit} are in use; read the answers that wait, or try again`,
      { field, limit, retryDelayMs: ROOM_RETRY_MS },
    );
  }

  /** An item that would miss its deadline, or wait beyond the limit, costs less when it is refused now than when it is dropped then. */
  #assertTime({ deadlineMs, field }: Demand): void {
    const { positions, ms } = this.#computed;
    if (positions === 0) return;
    const waitMs = (this.#queuedPositions * ms) / positions;
    const now = this.#options.clock.now();
    const limit = Math.min(this.#options.maxQueueMs, QUEUE_SHARE * Math.max(0, deadlineMs - now));
    if (waitMs <= limit) return;
    throw new TandemError(
      "RESOURCE_EXHAUSTED",
      `${field}: ${this.#queuedPositions} positions wait before it, about ${Math.round(waitMs)} ms; at most ${Math.round(limit)} ms are allowed: try again later or on another replica`,
      {
        field,
        limit: Math.round(limit),
        retryDelayMs: Math.max(1, Math.ceil(Math.min(waitMs - limit, this.#options.maxQueueMs))),
      },
    );
  }
}

function once(giveBack: () => void): Ticket {
  let released = false;
  return {
    release: () => {
      if (released) return;
      released = true;
      giveBack();
    },
  };
}
