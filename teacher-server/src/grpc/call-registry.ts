import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { LiveCall } from "../calls/call-context.js";

/** The streams that are open now. */
export class CallRegistry {
  readonly #calls = new Map<number, LiveCall>();
  readonly #rechecks = new Map<number, () => void>();
  readonly #maxCalls: number;
  #nextClient = 1;
  #onEmpty: (() => void) | undefined;

  constructor(maxCalls: number) {
    this.#maxCalls = maxCalls;
  }

  /** @throws TandemError RESOURCE_EXHAUSTED at the limit. */
  assertRoom(): void {
    if (this.#calls.size < this.#maxCalls) return;
    throw new TandemError(
      "RESOURCE_EXHAUSTED",
      `${this.#maxCalls} streams are open on this server, which is its limit; try later or another replica`,
      { field: "streams", limit: this.#maxCalls, retryDelayMs: 1000 },
    );
  }

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
