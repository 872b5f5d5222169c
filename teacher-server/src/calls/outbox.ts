export interface OutboxOptions<M> {
  readonly create: () => M;
  readonly send: (message: M, sizeBytes: number) => void;
  /** A message is closed before it grows beyond this. */
  readonly limitBytes: number;
}

/** Collects the answers of one turn of the event loop into as few messages as their size allows. */
export class Outbox<M> {
  readonly #options: OutboxOptions<M>;
  #message: M | undefined;
  #sizeBytes = 0;
  #scheduled = false;

  constructor(options: OutboxOptions<M>) {
    this.#options = options;
  }

  /** Bytes that still fit into the open message. */
  get roomBytes(): number {
    return this.#options.limitBytes - this.#sizeBytes;
  }

  /** Puts an answer into the open message, or into a new one if it would grow too large. */
  add(sizeBytes: number, put: (message: M) => void): void {
    if (this.#message !== undefined && sizeBytes > this.roomBytes) this.flush();
    this.#message ??= this.#options.create();
    put(this.#message);
    this.#sizeBytes += sizeBytes;
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.flush();
    });
  }

  flush(): void {
    const message = this.#message;
    const sizeBytes = this.#sizeBytes;
    this.#message = undefined;
    this.#sizeBytes = 0;
    if (message !== undefined) this.#options.send(message, sizeBytes);
  }
}
