import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { Owner } from "../scheduler/job.js";
import type { Admission, Ticket } from "./admission.js";
import type { Demand } from "./demand.js";

/** What one stream may have of the memory for items, as a part of the whole: who does not read must not take what others need. */
const SHARE = 0.25;

const RETRY_MS = 200;

/** The server's admission as one stream sees it. */
export class StreamAdmission {
  readonly #admission: Admission;
  readonly #owner: Owner;
  #usedBytes = 0;

  /** owner: whose stream it is. */
  constructor(admission: Admission, owner: Owner) {
    this.#admission = admission;
    this.#owner = owner;
  }

  /** As `Admission.reserve` and `Admission.enqueue`. */
  admit(demand: Demand): Ticket {
    const memory = this.reserve(demand);
    try {
      const place = this.enqueue(demand);
      return {
        release: () => {
          memory.release();
          place.release();
        },
      };
    } catch (error) {
      memory.release();
      throw error;
    }
  }

  /** As `Admission.reserve`; RESOURCE_EXHAUSTED also for what goes beyond the stream's share, unless it has nothing else here. */
  reserve(demand: Demand): Ticket {
    const share = Math.floor(SHARE * this.#admission.limitBytes);
    if (this.#usedBytes > 0 && this.#usedBytes + demand.bytes > share) {
      throw new TandemError(
        "RESOURCE_EXHAUSTED",
        `${demand.field}: the item takes ${demand.bytes} bytes, and this stream has ${this.#usedBytes} of its ${share} in use; read its answers, or ask for less at once`,
        { field: demand.field, limit: share, retryDelayMs: RETRY_MS },
      );
    }
    return this.#count(demand.bytes, this.#admission.reserve(demand, this.#owner));
  }

  enqueue(demand: Demand): Ticket {
    return this.#admission.enqueue(demand, this.#owner);
  }

  /** Bytes that are there already: an answer that its reader has not taken. */
  hold(bytes: number): Ticket {
    return this.#count(bytes, this.#admission.hold(bytes, this.#owner));
  }

  #count(bytes: number, ticket: Ticket): Ticket {
    this.#usedBytes += bytes;
    let released = false;
    return {
      release: () => {
        if (released) return;
        released = true;
        this.#usedBytes -= bytes;
        ticket.release();
      },
    };
  }
}
