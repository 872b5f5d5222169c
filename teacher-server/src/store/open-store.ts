import type { Logger } from "@tandem/shared/telemetry/logger.js";
import { LmdbTier } from "./lmdb-tier.js";
import { RedisTier } from "./redis-tier.js";
import { SignalStore, type StoreObserver } from "./signal-store.js";
import type { StoreTier } from "./store-tier.js";

export interface StoreOptions {
  /** Bytes of signals in memory; 0 = none. */
  readonly memoryBytes: number;
  /** Directory of the store on disk; empty = none. */
  readonly path: string;
  readonly diskBytes: number;
  /** Empty = none. */
  readonly redisUrl: string;
  readonly logger: Logger;
  readonly observer: StoreObserver;
}

/** The store that was configured; undefined when there is none.
 * @throws TandemError as `LmdbTier.open` and `RedisTier.open`. */
export async function openStore(options: StoreOptions): Promise<SignalStore | undefined> {
  const { memoryBytes, path, diskBytes, redisUrl, logger, observer } = options;
  const tiers: StoreTier[] = [];
  if (path !== "") tiers.push(await LmdbTier.open({ path, limitBytes: diskBytes, logger }));
  if (redisUrl !== "") tiers.push(await RedisTier.open({ url: redisUrl, logger }));
  if (memoryBytes === 0 && tiers.length === 0) return undefined;
  return new SignalStore({ memoryBytes, tiers, observer });
}
