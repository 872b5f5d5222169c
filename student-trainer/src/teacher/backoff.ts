import { performance } from "node:perf_hooks";

const BASE_MS = 100;
const MAX_MS = 5_000;
/** So many tries at least fall into the patience: who sleeps through it never hears that others were answered. */
const LEAST_TRIES = 8;

export interface BackoffOptions {
  /** Give up when nothing succeeded for so long. */
  readonly timeoutMs: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Milliseconds on a monotone clock. */
  readonly now?: () => number;
}

/** Exponential waiting with jitter (each delay is drawn from its upper half), bounded by the time since the last success. */
export class Backoff {
  readonly #options: BackoffOptions;
  readonly #now: () => number;
  #attempt = 0;
  #failingSince: number | undefined;

  constructor(options: BackoffOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Call on every failure. Milliseconds until the next try, at least `minimumMs`; undefined when it is time to give up. `aliveMs`: when others
   * succeeded last with whoever refuses this. */
  next(minimumMs = 0, aliveMs = -Infinity): number | undefined {
    const now = this.#now();
    this.#failingSince = Math.max(this.#failingSince ?? now, aliveMs);
    const left = this.#failingSince + this.#options.timeoutMs - now;
    if (left <= 0) return undefined;
    const longest = Math.min(MAX_MS, this.#options.timeoutMs / LEAST_TRIES);
    const ceiling = Math.min(longest, BASE_MS * 2 ** Math.min(this.#attempt++, 16));
    const delay = ceiling * (0.5 + 0.5 * this.#options.random());
    return Math.max(minimumMs, Math.min(delay, left));
  }

  /** Call on every success. */
  reset(): void {
    this.#attempt = 0;
    this.#failingSince = undefined;
  }
}
