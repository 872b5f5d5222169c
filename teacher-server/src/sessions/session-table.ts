import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { ValidOpen } from "../admission/valid-interleave.js";
import { InterleaveSession } from "./interleave-session.js";

export interface OpenSession {
  readonly session: InterleaveSession;
  readonly cache: number;
  /** When it was last spoken to. */
  usedMs: number;
}

/** The open sequences of one stream. */
export class SessionTable {
  readonly #sessions = new Map<number, OpenSession>();
  readonly #maxSessions: number;

  constructor(maxSessions: number) {
    this.#maxSessions = maxSessions;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** @throws TandemError ALREADY_EXISTS for an id in use, RESOURCE_EXHAUSTED above the limit. */
  open(open: ValidOpen, cache: number, now: number): OpenSession {
    if (this.#sessions.has(open.sequence)) {
      throw new TandemError(
        "ALREADY_EXISTS",
        `sequence ${open.sequence} is open on this stream; close it first or choose another id`,
        { field: "opens.sequence" },
      );
    }
    if (this.#sessions.size >= this.#maxSessions) {
      throw new TandemError(
        "RESOURCE_EXHAUSTED",
        `${this.#sessions.size} sequences are open on this stream, which is its limit; close some or open another stream`,
        { field: "opens", limit: this.#maxSessions, retryDelayMs: 1000 },
      );
    }
    const opened = { session: new InterleaveSession(open), cache, usedMs: now };
    this.#sessions.set(open.sequence, opened);
    return opened;
  }

  find(sequence: number): OpenSession | undefined {
    return this.#sessions.get(sequence);
  }

  /** @throws TandemError NOT_FOUND for a sequence that is not open. */
  require(sequence: number): OpenSession {
    const found = this.#sessions.get(sequence);
    if (found !== undefined) return found;
    throw new TandemError(
      "NOT_FOUND",
      `sequence ${sequence} is not open on this stream; open it with its prompt and the response so far`,
      { field: "sequence" },
    );
  }

  /** Forgets a sequence; true if it was there. */
  remove(sequence: number): OpenSession | undefined {
    const found = this.#sessions.get(sequence);
    this.#sessions.delete(sequence);
    return found;
  }

  all(): readonly OpenSession[] {
    return [...this.#sessions.values()];
  }

  /** Sessions without unanswered drafts that nobody has spoken to for `leaseMs`. */
  idle(now: number, leaseMs: number): readonly OpenSession[] {
    return this.all().filter(
      ({ session, usedMs }) => session.waitingDrafts === 0 && now - usedMs >= leaseMs,
    );
  }
}
