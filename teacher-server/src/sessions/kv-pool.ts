import { invariant } from "@tandem/shared/errors/invariant.js";

export interface KvPoolOptions {
  /** What all caches together may take. */
  readonly limitBytes: number;
  /** What the cache of a sequence that may grow to `maxLength` positions takes. */
  readonly cacheBytes: (maxLength: number) => number;
}

interface Entry {
  readonly sizeBytes: number;
  /** Positions that hold what the sequence says. */
  length: number;
  /** Tick of the last use; the smallest goes first. */
  usedAt: number;
  /** Has a job that began or waits: not to be taken away. */
  pinned: boolean;
  /** Valid positions that were computed ahead and are charged to nobody yet. */
  ahead: number;
}

/** The account of the engine's KV caches: bytes, valid lengths, who may be thrown out. It holds no tensor; what it frees is named in the next
 * step's `release`. An evicted sequence is computed again from its tokens when it is needed. */
export class KvPool {
  readonly #options: KvPoolOptions;
  readonly #entries = new Map<number, Entry>();
  #usedBytes = 0;
  #tick = 0;
  #released: number[] = [];
  #evictions = 0;

  constructor(options: KvPoolOptions) {
    this.#options = options;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  get limitBytes(): number {
    return this.#options.limitBytes;
  }

  get evictions(): number {
    return this.#evictions;
  }

  /** What one cache of that length takes, whether or not it fits. */
  cacheBytes(maxLength: number): number {
    return this.#options.cacheBytes(maxLength);
  }

  /** Valid positions; 0 for a cache that does not exist (any more). */
  length(cache: number): number {
    return this.#entries.get(cache)?.length ?? 0;
  }

  /** Makes sure that the cache exists, throwing out idle ones, least recently used first, if `evict` says so. False when there is no room now. */
  acquire(cache: number, maxLength: number, evict = true): boolean {
    const existing = this.#entries.get(cache);
    if (existing !== undefined) {
      existing.usedAt = ++this.#tick;
      return true;
    }
    const sizeBytes = this.#options.cacheBytes(maxLength);
    if (evict ? !this.#makeRoom(sizeBytes) : this.#usedBytes + sizeBytes > this.limitBytes)
      return false;
    const entry = { sizeBytes, length: 0, usedAt: ++this.#tick, pinned: true, ahead: 0 };
    this.#entries.set(cache, entry);
    this.#usedBytes += sizeBytes;
    return true;
  }

  setPinned(cache: number, pinned: boolean): void {
    const entry = this.#entries.get(cache);
    if (entry !== undefined) entry.pinned = pinned;
  }

  /** After a step: positions before `length` are valid. Nothing happens to a cache that was freed meanwhile. */
  setLength(cache: number, length: number): void {
    const entry = this.#entries.get(cache);
    if (entry !== undefined) entry.length = length;
  }

  /** Notes positions that were computed before anything was asked of the sequence. */
  addAhead(cache: number, count: number): void {
    const entry = this.#entries.get(cache);
    if (entry !== undefined) entry.ahead += count;
  }

  /** Positions computed ahead since the last call: whoever takes them answers for their cost. */
  takeAhead(cache: number): number {
    const entry = this.#entries.get(cache);
    const ahead = entry?.ahead ?? 0;
    if (entry !== undefined) entry.ahead = 0;
    return ahead;
  }

  free(cache: number): void {
    const entry = this.#entries.get(cache);
    if (entry === undefined) return;
    this.#entries.delete(cache);
    this.#usedBytes -= entry.sizeBytes;
    this.#released.push(cache);
    invariant(this.#usedBytes >= 0, "the pool holds a negative number of bytes");
  }

  /** The caches freed since the last call: what the engine has to be told. */
  takeReleased(): readonly number[] {
    const released = this.#released;
    this.#released = [];
    return released;
  }

  /** The engine is a new one: nothing is cached and nothing needs to be released. */
  clear(): void {
    this.#entries.clear();
    this.#usedBytes = 0;
    this.#released = [];
  }

  #makeRoom(sizeBytes: number): boolean {
    const idle = [...this.#entries].filter(([, entry]) => !entry.pinned);
    const idleBytes = idle.reduce((sum, [, entry]) => sum + entry.sizeBytes, 0);
    if (this.#usedBytes - idleBytes + sizeBytes > this.#options.limitBytes) return false;
    idle.sort(([, a], [, b]) => a.usedAt - b.usedAt);
    for (const [cache] of idle) {
      if (this.#usedBytes + sizeBytes <= this.#options.limitBytes) break;
      this.free(cache);
      this.#evictions++;
    }
    return true;
  }
}
