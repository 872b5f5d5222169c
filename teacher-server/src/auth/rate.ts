import type { Clock } from "@tandem/shared/telemetry/clock.js";

/** What may be saved up, in seconds of the rate. */
const BURST_SECONDS = 1;

/** A token bucket that may go into debt: whoever has anything left may begin something of any size and waits afterwards until it is paid off.
 * So nothing is too large to ever be let through, and the mean rate holds. */
export class Rate {
  readonly #clock: Clock;
  #perSecond: number;
  #level: number;
  #at: number;

  constructor(perSecond: number, clock: Clock) {
    this.#clock = clock;
    this.#perSecond = perSecond;
    this.#level = perSecond * BURST_SECONDS;
    this.#at = clock.now();
  }

  get perSecond(): number {
    return this.#perSecond;
  }

  set perSecond(value: number) {
    this.#settle();
    this.#perSecond = value;
    this.#level = Math.min(this.#level, value * BURST_SECONDS);
  }

  /** Milliseconds until something may begin; 0 = now. */
  get waitMs(): number {
    this.#settle();
    return this.#level > 0 ? 0 : Math.max(1, Math.ceil((1000 * -this.#level) / this.#perSecond));
  }

  spend(amount: number): void {
    this.#settle();
    this.#level -= amount;
  }

  #settle(): void {
    const now = this.#clock.now();
    const gained = (this.#perSecond * (now - this.#at)) / 1000;
    this.#level = Math.min(this.#perSecond * BURST_SECONDS, this.#level + gained);
    this.#at = now;
  }
}
