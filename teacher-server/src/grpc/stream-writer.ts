import type { Writable } from "node:stream";

export interface StreamWriterOptions {
  /** The peer does not read as fast as we write: stop computing for it. */
  readonly onCongested: () => void;
  readonly onRelieved: () => void;
  /** Messages that may wait before the stream counts as congested. */
  readonly congestedAt: number;
}

/** Writes messages as fast as the peer reads them. What it has not read waits here, not in the transport, and its sender hears of it. */
export class StreamWriter<M> {
  readonly #stream: Writable;
  readonly #options: StreamWriterOptions;
  #waiting: { readonly message: M; readonly onWritten: () => void }[] = [];
  #blocked = false;
  #congested = false;
  #onEmpty: (() => void) | undefined;
  #closed = false;

  constructor(stream: Writable, options: StreamWriterOptions) {
    this.#stream = stream;
    this.#options = options;
    stream.on("drain", () => this.#drain());
  }

  /** `onWritten`: the transport has taken it, as far as its own window goes. */
  write(message: M, onWritten: () => void): void {
    if (this.#closed) return;
    if (!this.#blocked) {
      this.#blocked = !this.#stream.write(message, onWritten);
      return;
    }
    this.#waiting.push({ message, onWritten });
    if (this.#congested || this.#waiting.length < this.#options.congestedAt) return;
    this.#congested = true;
    this.#options.onCongested();
  }

  /** Runs `action` (the end of the stream) behind the last message. */
  finish(action: () => void): void {
    if (this.#waiting.length === 0) action();
    else this.#onEmpty = action;
  }

  /** The peer is gone: what waits is forgotten. */
  close(): void {
    this.#closed = true;
    this.#waiting = [];
    if (this.#congested) this.#options.onRelieved();
    this.#congested = false;
  }

  #drain(): void {
    this.#blocked = false;
    while (!this.#blocked) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      this.#blocked = !this.#stream.write(next.message, next.onWritten);
    }
    if (this.#congested && this.#waiting.length === 0) {
      this.#congested = false;
      this.#options.onRelieved();
    }
    if (this.#waiting.length === 0) this.#onEmpty?.();
  }
}
