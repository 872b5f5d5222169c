import type { LiveCall } from "../calls/call-context.js";

/** The streams that are open now. */
export class CallRegistry {
  readonly #calls = new Map<number, LiveCall>();
  readonly #rechecks = new Map<number, () => void>();
  #nextClient = 1;
  #onEmpty: (() => void) | undefined;

  get size(): number {
    return this.#calls.size;
  }

  nextClient(): number {
    return this.#nextClient++;
  }

  /** `recheck` ends the call if its client is no longer let in. */
  add(client: number, call: LiveCall, recheck: () => void): void {
    this.#calls.set(client, call);
    this.#rechecks.set(client, recheck);
  }

  remove(client: number): void {
    this.#calls.delete(client);
    this.#rechecks.delete(client);
    if (this.#calls.size === 0) this.#onEmpty?.();
  }

  /** Asks every call to take nothing new; resolves when all have ended. */
  drain(): Promise<void> {
    const empty = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
    for (const call of this.#calls.values()) call.drain();
    if (this.#calls.size === 0) this.#onEmpty?.();
    return empty;
  }

  /** The clients have changed. */
  recheck(): void {
    for (const recheck of this.#rechecks.values()) recheck();
  }

  expireLeases(): void {
    for (const call of this.#calls.values()) call.expireLeases();
  }
}
