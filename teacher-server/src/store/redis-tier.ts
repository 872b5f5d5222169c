import type { Redis } from "ioredis";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { Logger } from "@tandem/shared/telemetry/logger.js";
import type { StoreTier } from "./store-tier.js";

export interface RedisTierOptions {
  /** `redis://[:password@]host[:port][/db]` or `rediss://…`. */
  readonly url: string;
  readonly logger: Logger;
}

const KEY_PREFIX = "tandem:signal:";
/** An answer that takes longer is not worth waiting for. */
const COMMAND_TIMEOUT_MS = 500;
/** Largest value that Redis is given; its own limit is 512 MiB. */
const MAX_VALUE_BYTES = 64 << 20;
/** What may be under way to it; what comes on top is not kept. */
const MOST_PENDING_BYTES = 128 << 20;
/** Nothing is asked for so long after it failed: a Redis that hangs must not cost every item a timeout. */
const PAUSE_MS = 5000;

/** Signals in a Redis that several servers share. How much it keeps and what goes first is its own configuration (`maxmemory`, `allkeys-lru`). While it
 * is away nothing is found and nothing is kept; the connection comes back by itself. */
export class RedisTier implements StoreTier {
  readonly name = "redis";
  readonly #redis: Redis;
  readonly #logger: Logger;
  #pendingBytes = 0;
  #failing = false;
  #idleUntilMs = 0;

  private constructor(redis: Redis, logger: Logger) {
    this.#redis = redis;
    this.#logger = logger;
    redis.on("error", (error: unknown) => this.#failed(error));
    redis.on("ready", () => {
      this.#failing = false;
      this.#idleUntilMs = 0;
    });
  }

  /** @throws TandemError FAILED_PRECONDITION when `ioredis` is not installed. */
  static async open({ url, logger }: RedisTierOptions): Promise<RedisTier> {
    let Client: typeof Redis;
    try {
      ({ Redis: Client } = await import("ioredis"));
    } catch (cause) {
      throw new TandemError(
        "FAILED_PRECONDITION",
        "--store-redis-url needs the package ioredis, which is not installed: npm install ioredis",
        { field: "storeRedisUrl", cause },
      );
    }
    const redis = new Client(url, {
      // Without a connection commands fail at once instead of queueing up.
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      commandTimeout: COMMAND_TIMEOUT_MS,
      retryStrategy: (attempt) => Math.min(10_000, 100 * 2 ** Math.min(attempt, 7)),
    });
    return new RedisTier(redis, logger);
  }

  async get(key: Buffer): Promise<Buffer | undefined> {
    if (!this.#isThere) return undefined;
    try {
      return (await this.#redis.getBuffer(nameOf(key))) ?? undefined;
    } catch (error) {
      this.#failed(error);
      return undefined;
    }
  }

  put(key: Buffer, value: Buffer): void {
    const { length } = value;
    if (!this.#isThere || length > MAX_VALUE_BYTES) return;
    if (this.#pendingBytes + length > MOST_PENDING_BYTES) return;
    this.#pendingBytes += length;
    this.#redis
      .set(nameOf(key), value)
      .catch((error: unknown) => this.#failed(error))
      .finally(() => (this.#pendingBytes -= length));
  }

  async close(): Promise<void> {
    try {
      // Behind what was sent before it.
      if (this.#redis.status === "ready") await this.#redis.quit();
    } catch (error) {
      this.#failed(error);
    }
    this.#redis.disconnect();
  }

  get #isThere(): boolean {
    return this.#redis.status === "ready" && performance.now() >= this.#idleUntilMs;
  }

  /** Says so once until it is back. */
  #failed(error: unknown): void {
    this.#idleUntilMs = performance.now() + PAUSE_MS;
    if (this.#failing) return;
    this.#failing = true;
    this.#logger.warn(
      { event: "store.failed", tier: "redis", err: error },
      "the shared signal store does not answer; signals are computed",
    );
  }
}

function nameOf(key: Buffer): string {
  return KEY_PREFIX + key.toString("hex");
}
