import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { Clock } from "@tandem/shared/telemetry/clock.js";
import type { Quota } from "./quota.js";
import { Rate } from "./rate.js";

const RATES = ["requestsPerSecond", "tokensPerSecond", "bytesPerSecond"] as const;

type RateName = (typeof RATES)[number];

/** What waits for room, not for a rate. */
const COUNT_RETRY_MS = 1000;

/** What one client has used of its quota, over all its streams. */
export class Budget {
  readonly #name: string;
  readonly #clock: Clock;
  readonly #rates = new Map<RateName, Rate>();
  #quota: Quota = {};
  #streams = 0;
  #sequences = 0;

  constructor(name: string, quota: Quota, clock: Clock) {
    this.#name = name;
    this.#clock = clock;
    this.setQuota(quota);
  }

  /** Another quota from now on; what was used counts on. */
  setQuota(quota: Quota): void {
    this.#quota = quota;
    for (const name of RATES) {
      const perSecond = quota[name];
      const rate = this.#rates.get(name);
      if (perSecond === undefined) this.#rates.delete(name);
      else if (rate === undefined) this.#rates.set(name, new Rate(perSecond, this.#clock));
      else rate.perSecond = perSecond;
    }
  }

  /** Takes one item of so many tokens.
   * @throws TandemError RESOURCE_EXHAUSTED with the rate and when to try again. */
  admit(tokens: number): void {
    for (const [name, rate] of this.#rates) this.#assertRate(name, rate);
    this.#rates.get("requestsPerSecond")?.spend(1);
    this.spendTokens(tokens);
  }

  /** Tokens that were not known beforehand. */
  spendTokens(count: number): void {
    this.#rates.get("tokensPerSecond")?.spend(count);
  }

  /** Bytes that came or went. */
  spendBytes(count: number): void {
    this.#rates.get("bytesPerSecond")?.spend(count);
  }

  /** @throws TandemError RESOURCE_EXHAUSTED at the limit. Whoever opens closes. */
  openStream(): void {
    this.#assertCount("streams", this.#streams, this.#quota.streams);
    this.#streams++;
  }

  closeStream(): void {
    this.#streams--;
  }

  /** @throws TandemError RESOURCE_EXHAUSTED at the limit. Whoever opens closes. */
  openSequence(): void {
    this.#assertCount("sequences", this.#sequences, this.#quota.sequences);
    this.#sequences++;
  }

  closeSequence(): void {
    this.#sequences--;
  }

  #assertRate(name: RateName, rate: Rate): void {
    const retryDelayMs = rate.waitMs;
    if (retryDelayMs === 0) return;
    throw new TandemError(
      "RESOURCE_EXHAUSTED",
      `client ${this.#name} has used up its quota of ${rate.perSecond} ${name}; wait, or ask for a larger one`,
      { field: `quota.${name}`, limit: rate.perSecond, retryDelayMs },
    );
  }

  #assertCount(what: "streams" | "sequences", used: number, limit: number | undefined): void {
    if (limit === undefined || used < limit) return;
    throw new TandemError(
      "RESOURCE_EXHAUSTED",
      `client ${this.#name} has ${used} ${what} open, which is its quota; close some`,
      { field: `quota.${what}`, limit, retryDelayMs: COUNT_RETRY_MS },
    );
  }
}
