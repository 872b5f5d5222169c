import type { LiveCall } from "../calls/call-context.js";

/** The streams that are open now. */
export class CallRegistry {
  readonly #calls = new Map<number, LiveCall>();
  #nextClient = 1;
  #onEmpty: (() => void) | undefined;

  get size(): number {
    return this.#calls.size;
  }

  nextClient(): number {
    return this.#nextClient++;
  }

  add(client: number, call: LiveCall): void {
    this.#calls.set(client, call);
  }

  remove(client: number): void {
    this.#calls.delete(client);
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

  expireLeases(): void {
    for (const call of this.#calls.values()) call.expireLeases();
  }
}
