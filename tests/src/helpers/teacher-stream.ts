import { once } from "node:events";
import type { ClientDuplexStream } from "@grpc/grpc-js";

/** A duplex stream whose messages are awaited one by one. */
export class TeacherStream<In, Out> {
  readonly call: ClientDuplexStream<In, Out>;
  readonly #received: Out[] = [];
  #wake: (() => void) | undefined;
  #end: { readonly error?: Error & { code: number; metadata?: unknown } } | undefined;

  constructor(call: ClientDuplexStream<In, Out>) {
    this.call = call;
    call.on("data", (message: Out) => {
      this.#received.push(message);
      this.#wake?.();
    });
    call.on("error", (error: Error & { code: number }) => {
      this.#end = { error };
      this.#wake?.();
    });
    call.on("end", () => {
      this.#end ??= {};
      this.#wake?.();
    });
  }

  send(message: In): void {
    this.call.write(message);
  }

  /** The next message; undefined at the stream's end; throws its status. */
  async next(): Promise<Out | undefined> {
    for (;;) {
      const message = this.#received.shift();
      if (message !== undefined) return message;
      if (this.#end?.error !== undefined) throw this.#end.error;
      if (this.#end !== undefined) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async finish(): Promise<void> {
    this.call.end();
    if (this.#end === undefined) await once(this.call, "end");
  }
}

/** u32 little-endian bytes, as the contract wants them. */
export function u32(values: Iterable<number>): Buffer {
  const array = Uint32Array.from(values);
  return Buffer.from(array.buffer);
}

export function fromU32(bytes: Uint8Array): number[] {
  return [...new Uint32Array(new Uint8Array(bytes).buffer)];
}
