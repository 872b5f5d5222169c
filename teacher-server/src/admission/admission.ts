import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { Clock } from "@tandem/shared/telemetry/clock.js";
import type { Owner } from "../scheduler/job.js";
import type { Demand } from "./demand.js";
import { QueueAccount } from "./queue-account.js";

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

/** What an owner may have of what the others leave (dynamic thresholds, Choudhury & Hahne 1998): whoever comes new finds room, however many streams
 * others have that they do not read. */
const OWNER_SHARE = 0.75;

/** How much of an item's time may be spent waiting. The rest is for computing it, and for an engine that turns out slower than it was: an
 * item that is let in and then misses its deadline has cost what others would have needed. */
const QUEUE_SHARE = 0.5;

/** Over how much computing time the measured rate is averaged. */
const RATE_WINDOW_MS = 5_000;

/** Decides, before any work, whether there is memory and time for an item. What is let in fits; what is refused hears when to try again. */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #queue = new QueueAccount();
  #usedBytes = 0;
  /** By owner, of those who have any. */
  readonly #ownBytes = new Map<string, number>();
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
    return this.#queue.positions;
  }

  /** Memory alone, for an item that may not need the model.
   * @throws TandemError OUT_OF_RANGE for what never fits, RESOURCE_EXHAUSTED for what does not fit now. */
  reserve(demand: Demand, owner: Owner): Ticket {
    this.#assertRoom(demand, owner);
    return this.hold(demand.bytes, owner);
  }

  /** A place in the queue.
   * @throws TandemError RESOURCE_EXHAUSTED for what would wait too long. */
  enqueue(demand: Demand, owner: Owner): Ticket {
    this.#assertTime(demand, owner);
    return once(this.#queue.add(owner, demand.tier, demand.positions));
  }

  /** Bytes that are there already: an answer that its reader has not taken. */
  hold(bytes: number, { name }: Owner): Ticket {
    this.#count(name, bytes);
    return once(() => this.#count(name, -bytes));
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

  #count(owner: string, bytes: number): void {
    this.#usedBytes += bytes;
    const own = (this.#ownBytes.get(owner) ?? 0) + bytes;
    if (own === 0) this.#ownBytes.delete(owner);
    else this.#ownBytes.set(owner, own);
  }

  #assertRoom({ bytes, field }: Demand, { name }: Owner): void {
    const limit = this.#options.limitBytes;
    if (bytes > limit) {
      throw new TandemError(
        "OUT_OF_RANGE",
        `${field}: the item and its answer take ${bytes} bytes; this server has ${limit} for all items: ask for fewer rows or parts, or raise --memory-limit`,
        { field, limit },
      );
    }
    if (this.#usedBytes + bytes > limit) {
      throw new TandemError(
        "RESOURCE_EXHAUSTED",
        `${field}: the item takes ${bytes} bytes, and ${this.#usedBytes} of ${limit} are in use; read the answers that wait, or try again`,
        { field, limit, retryDelayMs: ROOM_RETRY_MS },
      );
    }
    const own = this.#ownBytes.get(name) ?? 0;
    const share = Math.floor(OWNER_SHARE * (limit - (this.#usedBytes - own)));
    if (own === 0 || own + bytes <= share) return;
    throw new TandemError(
      "RESOURCE_EXHAUSTED",
      `${field}: the item takes ${bytes} bytes, and ${name} has ${own} in use, of ${share} that are its share now; read the answers that wait on its streams, or try again`,
      { field, limit: share, retryDelayMs: ROOM_RETRY_MS },
    );
  }

  /** An item that would miss its deadline, or wait beyond the limit, costs less when it is refused now than when it is dropped then. */
  #assertTime({ deadlineMs, field, tier, positions: wanted }: Demand, owner: Owner): void {
    const { positions, ms } = this.#computed;
    if (positions === 0) return;
    const ahead = this.#queue.ahead(owner, tier, wanted);
    const waitMs = (ahead * ms) / positions;
    const now = this.#options.clock.now();
    const limit = Math.min(this.#options.maxQueueMs, QUEUE_SHARE * Math.max(0, deadlineMs - now));
    if (waitMs <= limit) return;
    throw new TandemError(
      "RESOURCE_EXHAUSTED",
      `${field}: ${Math.ceil(ahead)} positions wait before it, about ${Math.round(waitMs)} ms; at most ${Math.round(limit)} ms are allowed: try again later or on another replica`,
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
