import type { EncodedFrame } from "../scheduler/engine-step.js";
import { MemoryTier } from "./memory-tier.js";
import type { StoreTier } from "./store-tier.js";
import { fromStoredBytes, toStoredBytes } from "./stored-frames.js";

/** Where a finished signal was found. */
export type StoreHit = "memory" | StoreTier["name"];

export interface StoreObserver {
  readonly onLookup: (outcome: StoreHit | "miss") => void;
  /** Bytes that were not what had been written; the signal is computed again. */
  readonly onCorrupt: (tier: StoreTier["name"]) => void;
}

export interface SignalStoreOptions {
  readonly memoryBytes: number;
  /** Asked in this order. */
  readonly tiers: readonly StoreTier[];
  readonly observer: StoreObserver;
}

/** Finished signals by what decides them (`signalKey`): in memory, then in slower places that outlive the process or are shared by several. What
 * is found is, byte for byte, what was computed; what is damaged counts as not found. */
export class SignalStore {
  readonly #memory: MemoryTier;
  readonly #tiers: readonly StoreTier[];
  readonly #observer: StoreObserver;

  constructor({ memoryBytes, tiers, observer }: SignalStoreOptions) {
    this.#memory = new MemoryTier(memoryBytes);
    this.#tiers = tiers;
    this.#observer = observer;
  }

  get memoryBytes(): number {
    return this.#memory.usedBytes;
  }

  get diskBytes(): number {
    return this.#tiers.find(({ name }) => name === "disk")?.usedBytes ?? 0;
  }

  async get(key: Buffer): Promise<readonly EncodedFrame[] | undefined> {
    const name = key.toString("latin1");
    const kept = this.#memory.get(name);
    if (kept !== undefined) {
      this.#observer.onLookup("memory");
      return kept;
    }
    for (const [i, tier] of this.#tiers.entries()) {
      const bytes = await tier.get(key);
      if (bytes === undefined) continue;
      const frames = fromStoredBytes(bytes);
      if (frames === undefined) {
        this.#observer.onCorrupt(tier.name);
        continue;
      }
      this.#observer.onLookup(tier.name);
      this.#memory.put(name, frames);
      for (const faster of this.#tiers.slice(0, i)) faster.put(key, bytes);
      return frames;
    }
    this.#observer.onLookup("miss");
    return undefined;
  }

  put(key: Buffer, frames: readonly EncodedFrame[]): void {
    this.#memory.put(key.toString("latin1"), frames);
    if (this.#tiers.length === 0) return;
    const bytes = toStoredBytes(frames);
    for (const tier of this.#tiers) tier.put(key, bytes);
  }

  async close(): Promise<void> {
    await Promise.all(this.#tiers.map((tier) => tier.close()));
  }
}
