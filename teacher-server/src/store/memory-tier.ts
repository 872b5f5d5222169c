import type { EncodedFrame } from "../scheduler/engine-step.js";

interface Entry {
  readonly frames: readonly EncodedFrame[];
  readonly sizeBytes: number;
}

/** Key, entry and the objects of a frame. */
const ENTRY_OVERHEAD_BYTES = 512;
const FRAME_OVERHEAD_BYTES = 256;

/** Finished signals in memory, ready to be sent; the least recently used go first. */
export class MemoryTier {
  readonly #limitBytes: number;
  /** In the order of their last use. */
  readonly #entries = new Map<string, Entry>();
  #usedBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  get(key: string): readonly EncodedFrame[] | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.frames;
  }

  put(key: string, frames: readonly EncodedFrame[]): void {
    const sizeBytes = frames.reduce(
      (sum, frame) => sum + frame.sizeBytes + FRAME_OVERHEAD_BYTES,
      ENTRY_OVERHEAD_BYTES,
    );
    if (sizeBytes > this.#limitBytes || this.#entries.has(key)) return;
    this.#entries.set(key, { frames, sizeBytes });
    this.#usedBytes += sizeBytes;
    for (const [oldest, entry] of this.#entries) {
      if (this.#usedBytes <= this.#limitBytes) break;
      this.#entries.delete(oldest);
      this.#usedBytes -= entry.sizeBytes;
    }
  }
}
