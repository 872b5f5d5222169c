import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { open, type Database, type RootDatabase } from "lmdb";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { Logger } from "@tandem/shared/telemetry/logger.js";
import { isWholeLmdb } from "./is-whole-lmdb.js";
import type { StoreTier } from "./store-tier.js";

export interface LmdbTierOptions {
  /** Directory; made if missing. One server at a time. */
  readonly path: string;
  /** What the file may take. */
  readonly limitBytes: number;
  readonly logger: Logger;
}

const FILE = "signals.mdb";
const PAGE_BYTES = 4096;
/** Key, place in the order and their nodes. */
const ENTRY_OVERHEAD_BYTES = 160;
const OPTIONS = {
  compression: false,
  maxDbs: 3,
  // With either of them a commit that fails (a full disk) rejects a promise that nobody holds, or leaves `close` waiting (tried, 3.5.6).
  overlappingSync: false,
  eventTurnBatching: false,
} as const;
/** Of the limit: what entries may take (pages are freed a transaction late, and tables have pages of their own), and what one transaction may write. */
const ENTRY_SHARE = 11 / 16;
const BATCH_SHARE = 1 / 16;
/** What may wait for the disk; what comes on top is not kept. */
const MOST_PENDING_BYTES = 64 << 20;
/** After a write that failed. */
const PAUSE_MS = 30_000;

/** Signals in an embedded LMDB. Three tables: the values; for each key its place in the order of use and its size; and that order, from which the first
 * are dropped when all together exceed the limit. Writing happens in batches in a thread of LMDB's, and so does the disk's part of reading. */
export class LmdbTier implements StoreTier {
  readonly name = "disk";
  readonly #root: RootDatabase;
  readonly #values: Database<Buffer, Buffer>;
  readonly #places: Database<Buffer, Buffer>;
  readonly #order: Database<Buffer, number>;
  /** Of entries; of those that one transaction writes. */
  readonly #limitBytes: number;
  readonly #batchBytes: number;
  readonly #logger: Logger;
  #usedBytes = 0;
  #first = 0;
  #next = 0;
  #puts = new Map<string, { readonly key: Buffer; readonly value: Buffer }>();
  #pendingBytes = 0;
  #used = new Map<string, Buffer>();
  #writing: Promise<void> | undefined;
  #idleUntilMs = 0;
  #closed = false;

  private constructor(root: RootDatabase, { limitBytes, logger }: LmdbTierOptions) {
    this.#root = root;
    const binary = { encoding: "binary", cache: false } as const;
    this.#values = root.openDB({ name: "values", keyEncoding: "binary", ...binary });
    this.#places = root.openDB({ name: "places", keyEncoding: "binary", ...binary });
    this.#order = root.openDB({ name: "order", keyEncoding: "uint32", ...binary });
    this.#limitBytes = ENTRY_SHARE * limitBytes;
    this.#batchBytes = BATCH_SHARE * limitBytes;
    this.#logger = logger;
    this.#readOrder();
  }

  /** A file that is damaged as a whole is replaced by an empty one: nothing in it cannot be computed again.
   * @throws TandemError FAILED_PRECONDITION when the directory cannot be used. */
  static async open(options: LmdbTierOptions): Promise<LmdbTier> {
    const { path, logger } = options;
    try {
      await mkdir(path, { recursive: true });
      const file = join(path, FILE);
      if (!(await isWholeLmdb(file))) {
        logger.warn({ event: "store.replaced", file }, "the store is damaged; a new one is begun");
        await Promise.all([rm(file), rm(`${file}-lock`, { force: true })]);
      }
      const root = open({ path: file, ...OPTIONS });
      const tier = new LmdbTier(root, options);
      await assertAlone(root);
      tier.#shrink();
      return tier;
    } catch (cause) {
      throw new TandemError(
        "FAILED_PRECONDITION",
        `cannot open the signal store in ${path}: ${TandemError.from(cause).message}; name a directory of this server's own that this user may write`,
        { field: "storePath", cause },
      );
    }
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  async get(key: Buffer): Promise<Buffer | undefined> {
    if (this.#closed) return undefined;
    try {
      await this.#values.prefetch([key]);
      if (this.#closed) return undefined;
      const value = this.#values.getBinary(key);
      if (value !== undefined) this.#noteUse(key);
      return value;
    } catch (error) {
      this.#report("read", error);
      return undefined;
    }
  }

  put(key: Buffer, value: Buffer): void {
    const name = key.toString("latin1");
    const sizeBytes = occupiedBytes(value.length);
    if (this.#closed || this.#puts.has(name)) return;
    if (performance.now() < this.#idleUntilMs || sizeBytes > this.#limitBytes) return;
    if (this.#pendingBytes + sizeBytes > MOST_PENDING_BYTES) return;
    this.#puts.set(name, { key, value });
    this.#pendingBytes += sizeBytes;
    this.#writeSoon();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await this.#writing;
      await this.#root.close();
    } catch (error) {
      this.#report("close", error);
    }
  }

  /** An entry in the older half of the order moves to its end: most reads write nothing. */
  #noteUse(key: Buffer): void {
    const place = this.#places.getBinary(key)?.readUInt32LE(0) ?? Infinity;
    if (place >= (this.#first + this.#next) / 2 || performance.now() < this.#idleUntilMs) return;
    this.#used.set(key.toString("latin1"), key);
    this.#writeSoon();
  }

  /** How much there is and in which order, as the file says. */
  #readOrder(): void {
    this.#usedBytes = 0;
    for (const { key, value } of this.#order.getRange()) {
      if (this.#next === 0) this.#first = key;
      this.#next = key + 1;
      this.#usedBytes += value.readUInt32LE(32);
    }
  }

  #writeSoon(): void {
    this.#writing ??= this.#write()
      .catch((error: unknown) => this.#writeFailed(error))
      .finally(() => (this.#writing = undefined));
  }

  /** A full disk, most likely: what was to be written is dropped, and so is what comes in the next time. */
  #writeFailed(error: unknown): void {
    const { commitError } = error as { readonly commitError?: Promise<unknown> };
    if (commitError !== undefined) settled(commitError);
    this.#puts.clear();
    this.#pendingBytes = 0;
    this.#used.clear();
    this.#idleUntilMs = performance.now() + PAUSE_MS;
    this.#readOrder();
    this.#report("write", error);
  }

  /** What an earlier process was allowed more of. */
  #shrink(): void {
    if (this.#usedBytes <= this.#limitBytes) return;
    this.#writing ??= this.#root
      .batch(() => this.#makeRoom(0, new Map()))
      .then(() => undefined)
      .catch((error: unknown) => this.#writeFailed(error))
      .finally(() => (this.#writing = undefined));
  }

  /** One batch after the other, so that what is read for a batch is what the one before it left. */
  async #write(): Promise<void> {
    while (this.#puts.size > 0 || this.#used.size > 0) {
      const used = this.#used;
      this.#used = new Map();
      const puts = this.#takePuts();
      const sizeBytes = puts.reduce((sum, { value }) => sum + occupiedBytes(value.length), 0);
      await this.#root.batch(() => {
        for (const key of used.values()) this.#moveToEnd(key);
        this.#makeRoom(sizeBytes, used);
        for (const { key, value } of puts) this.#insert(key, value);
      });
    }
  }

  /** The next of those that wait, at least one. */
  #takePuts(): readonly { readonly key: Buffer; readonly value: Buffer }[] {
    const taken = [];
    let takenBytes = 0;
    for (const [name, put] of this.#puts) {
      const sizeBytes = occupiedBytes(put.value.length);
      if (taken.length > 0 && takenBytes + sizeBytes > this.#batchBytes) break;
      taken.push(put);
      takenBytes += sizeBytes;
      this.#puts.delete(name);
    }
    this.#pendingBytes -= takenBytes;
    return taken;
  }

  #insert(key: Buffer, value: Buffer): void {
    if (this.#places.getBinary(key) !== undefined) return;
    const sizeBytes = occupiedBytes(value.length);
    settled(this.#values.put(key, value));
    this.#append(key, sizeBytes);
    this.#usedBytes += sizeBytes;
  }

  #append(key: Buffer, sizeBytes: number): void {
    const place = this.#next++;
    const record = Buffer.alloc(36);
    key.copy(record);
    record.writeUInt32LE(sizeBytes, 32);
    settled(this.#order.put(place, record));
    const position = Buffer.alloc(8);
    position.writeUInt32LE(place, 0);
    position.writeUInt32LE(sizeBytes, 4);
    settled(this.#places.put(key, position));
  }

  #moveToEnd(key: Buffer): void {
    const position = this.#places.getBinary(key);
    if (position === undefined) return;
    settled(this.#order.remove(position.readUInt32LE(0)));
    this.#append(key, position.readUInt32LE(4));
  }

  /** Drops the oldest until so many bytes more fit. `moved`: keys whose old place is still to be read. */
  #makeRoom(sizeBytes: number, moved: ReadonlyMap<string, Buffer>): void {
    const mostBytes = this.#limitBytes - sizeBytes;
    if (this.#usedBytes <= mostBytes) return;
    for (const { key: place, value } of this.#order.getRange()) {
      if (this.#usedBytes <= mostBytes) break;
      const key = Buffer.from(value.subarray(0, 32));
      if (moved.has(key.toString("latin1"))) continue;
      this.#usedBytes -= value.readUInt32LE(32);
      this.#first = place + 1;
      settled(this.#values.remove(key));
      settled(this.#places.remove(key));
      settled(this.#order.remove(place));
    }
  }

  #report(what: string, error: unknown): void {
    this.#logger.warn(
      { event: "store.failed", tier: "disk", what, err: error },
      "the signal store on disk failed; signals are computed",
    );
  }
}

/** A second server would count and drop for itself. LMDB knows who reads, and notices who was killed.
 * @throws TandemError FAILED_PRECONDITION. */
async function assertAlone(root: RootDatabase): Promise<void> {
  root.readerCheck();
  const pids = [...root.readerList().matchAll(/^\s*(\d+) /gm)].map(([, pid]) => Number(pid));
  const other = pids.find((pid) => pid !== process.pid);
  if (other === undefined) return;
  await root.close();
  throw new TandemError("FAILED_PRECONDITION", `process ${other} uses it`);
}

/** Writes of a batch fail with the batch, which is where it is dealt with. */
function settled(write: PromiseLike<unknown>): void {
  Promise.resolve(write).catch(() => undefined);
}

/** Large values take whole pages of their own. */
function occupiedBytes(length: number): number {
  return PAGE_BYTES * Math.ceil(length / PAGE_BYTES) + ENTRY_OVERHEAD_BYTES;
}
