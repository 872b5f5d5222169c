import { Backoff } from "./backoff.js";

/** Failures in a row after which a replica gets one item at a time until it has answered one. */
const OPENS_AT = 5;

/** How much a replica may be given that says it is healthy: everything, nothing for a while after a failure (longer each time), or one trial. */
export class CircuitBreaker {
  readonly #backoff: Backoff;
  #failures = 0;
  #closedUntilMs = -Infinity;

  /** random: uniform in [0, 1), spreads the trials of many students. */
  constructor(random: () => number) {
    this.#backoff = new Backoff({ timeoutMs: Infinity, random });
  }

  /** Items that may be with the replica at once. */
  room(nowMs: number): number {
    if (nowMs < this.#closedUntilMs) return 0;
    return this.#failures < OPENS_AT ? Infinity : 1;
  }

  /** When `room` grows by itself. */
  get retryAtMs(): number {
    return this.#closedUntilMs;
  }

  /** Of many items that fail together the first one counts. */
  failed(nowMs: number): void {
    if (nowMs < this.#closedUntilMs) return;
    this.#failures++;
    this.#closedUntilMs = nowMs + (this.#backoff.next() ?? 0);
  }

  succeeded(): void {
    this.#failures = 0;
    this.#backoff.reset();
  }
}
