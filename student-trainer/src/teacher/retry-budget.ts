/** Repeats that are always allowed, per second and at once. */
const FLOOR_PER_SECOND = 10;
const BURST = 20;

/** Bounds what is asked again of an overloaded teacher: a share of what it answers, and a trickle. Whoever is beyond it waits; nothing is dropped.
 * Source: the retry budgets of Finagle and of Dean & Barroso, "The Tail at Scale" (2013), for hedges. */
export class RetryBudget {
  readonly #share: number;
  #tokens = BURST;
  #filledMs: number;
  #lastAnswerMs = -Infinity;

  /** share: repeats per answer, 0 … 1. */
  constructor(share: number, nowMs: number) {
    this.#share = share;
    this.#filledMs = nowMs;
  }

  /** When something was answered last. */
  get lastAnswerMs(): number {
    return this.#lastAnswerMs;
  }

  answered(nowMs: number): void {
    this.#lastAnswerMs = nowMs;
    this.#tokens = Math.min(BURST, this.#tokens + this.#share);
  }

  /** Takes a repeat; milliseconds until its turn, 0 when it is allowed now. */
  reserve(nowMs: number): number {
    this.#fill(nowMs);
    this.#tokens -= 1;
    return this.#tokens >= 0 ? 0 : (-this.#tokens / FLOOR_PER_SECOND) * 1000;
  }

  /** Takes a repeat only if it is allowed now. */
  tryTake(nowMs: number): boolean {
    this.#fill(nowMs);
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  #fill(nowMs: number): void {
    const seconds = (nowMs - this.#filledMs) / 1000;
    this.#tokens = Math.min(BURST, this.#tokens + seconds * FLOOR_PER_SECOND);
    this.#filledMs = nowMs;
  }
}
