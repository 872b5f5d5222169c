import { drainingError, type CallStream } from "./call-context.js";
import type { Outbox } from "./outbox.js";

/** When a bidirectional stream ends: once it takes nothing more and everything asked is answered. With OK if the client has half-closed,
 * else, because the server shuts down, with UNAVAILABLE. */
export class StreamEnd<M> {
  readonly #stream: CallStream<M>;
  readonly #outbox: Outbox<M>;
  readonly #isBusy: () => boolean;
  #inputEnded = false;
  #draining = false;
  #ended = false;

  /** isBusy: is something asked and not answered? */
  constructor(stream: CallStream<M>, outbox: Outbox<M>, isBusy: () => boolean) {
    this.#stream = stream;
    this.#outbox = outbox;
    this.#isBusy = isBusy;
  }

  /** The client has half-closed. */
  inputEnded(): void {
    this.#inputEnded = true;
    this.check();
  }

  draining(): void {
    this.#draining = true;
    this.check();
  }

  /** Something was answered. */
  check(): void {
    if (this.#ended || this.#isBusy() || !(this.#inputEnded || this.#draining)) return;
    this.#ended = true;
    this.#outbox.flush();
    if (this.#inputEnded) this.#stream.end();
    else this.#stream.fail(drainingError());
  }
}
