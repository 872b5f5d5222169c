import type { EncodedFrame } from "../scheduler/engine-step.js";
import type { SignalStore } from "../store/signal-store.js";

export interface StoreLookupsOptions {
  readonly store: SignalStore;
  /** Whether the client leaves unread what it was sent. */
  readonly isCongested: () => boolean;
}

interface Lookup {
  readonly key: Buffer;
  readonly onDone: (frames: readonly EncodedFrame[] | undefined) => void;
}

/** Lookups under way: enough to keep a disk busy, few enough that found answers do not pile up. */
const AT_ONCE = 16;

/** Looks for answers before they are computed, in the order of the requests. Nothing is looked for while the client does not read: what is found
 * needs no step that would wait for it. */
export class StoreLookups {
  readonly #options: StoreLookupsOptions;
  #waiting: Lookup[] = [];
  #running = 0;

  constructor(options: StoreLookupsOptions) {
    this.#options = options;
  }

  add(key: Buffer, onDone: Lookup["onDone"]): void {
    this.#waiting.push({ key, onDone });
    this.resume();
  }

  /** Goes on, after the client has read. */
  resume(): void {
    while (this.#running < AT_ONCE && !this.#options.isCongested()) {
      const lookup = this.#waiting.shift();
      if (lookup === undefined) return;
      this.#running++;
      void this.#run(lookup);
    }
  }

  close(): void {
    this.#waiting = [];
  }

  async #run({ key, onDone }: Lookup): Promise<void> {
    const frames = await this.#options.store.get(key);
    this.#running--;
    onDone(frames);
    this.resume();
  }
}
