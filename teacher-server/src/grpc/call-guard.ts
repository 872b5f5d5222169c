import { constants, type ServerHttp2Stream } from "node:http2";
import { ServerInterceptingCall, type ServerInterceptor } from "@grpc/grpc-js";
import { invariant } from "@tandem/shared/errors/invariant.js";
import { UnfinishedMessage } from "./unfinished-message.js";

export interface CallGuardOptions {
  /** Calls that are open and not one of the server's streams, not yet or not any more: health watches, reflection, calls whose request is under way,
   * and those that were answered while their callers' side stays open. */
  readonly maxCalls: number;
  /** What messages that have begun and not ended may take, of all calls together. */
  readonly maxUnfinishedBytes: number;
  /** A call was cut because others were newer. */
  readonly onCut: (path: string) => void;
}

/** Their handlers hear of them before any message comes, and limit their number. */
const COUNTED_BY_HANDLER = new Set(["/tandem.v1.Teacher/Score", "/tandem.v1.Teacher/Interleave"]);

interface GuardedCall {
  readonly path: string;
  readonly stream: ServerHttp2Stream;
  readonly message: UnfinishedMessage;
}

/** Bounds what callers can make the server hold before any of its own limits comes to bear, whether they are known or not: half a message each on any
 * number of calls, watches without end, calls that are answered and never closed. What has been under way longest gives way: what is honest has ended by then. */
export function createCallGuard(options: CallGuardOptions): ServerInterceptor {
  const guard = new CallGuard(options);
  return (method, call) => {
    const guarded = { path: method.path, stream: streamOf(call), message: new UnfinishedMessage() };
    guard.add(guarded);
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMessage: (message, pass) => {
            // From here on a stream of ours, which its handler counts, or soon answered.
            if (guarded.path === "/tandem.v1.Teacher/Generate") guard.forget(guarded);
            pass(message);
          },
        }),
    });
  };
}

class CallGuard {
  readonly #options: CallGuardOptions;
  /** In the order in which they came. */
  readonly #calls = new Set<GuardedCall>();
  /** Those with an unfinished message, in the order in which the messages began, and what each takes. */
  readonly #unfinished = new Map<GuardedCall, number>();
  #unfinishedBytes = 0;

  constructor(options: CallGuardOptions) {
    this.#options = options;
  }

  add(call: GuardedCall): void {
    const { stream, path } = call;
    if (!COUNTED_BY_HANDLER.has(path)) this.#calls.add(call);
    // Before gRPC takes it.
    stream.prependListener("data", (piece: Buffer) => this.#received(call, piece));
    // Answered to its end, and no handler counts it any more; but its caller may never close its side.
    stream.once("finish", () => {
      if (stream.closed) return;
      this.#calls.add(call);
      this.#limitCalls();
    });
    stream.once("close", () => {
      this.forget(call);
      this.#hold(call, 0);
    });
    this.#limitCalls();
  }

  /** It is none of those that are counted here any more. */
  forget(call: GuardedCall): void {
    this.#calls.delete(call);
  }

  #limitCalls(): void {
    const [oldest] = this.#calls;
    if (this.#calls.size > this.#options.maxCalls) this.#cut(oldest);
  }

  #received(call: GuardedCall, piece: Buffer): void {
    const ended = call.message.add(piece);
    // The next one begins now.
    if (ended) this.#hold(call, 0);
    this.#hold(call, call.message.heldBytes);
    while (this.#unfinishedBytes > this.#options.maxUnfinishedBytes) {
      const [oldest] = this.#unfinished.keys();
      this.#cut(oldest);
    }
  }

  #hold(call: GuardedCall, bytes: number): void {
    this.#unfinishedBytes += bytes - (this.#unfinished.get(call) ?? 0);
    if (bytes === 0) this.#unfinished.delete(call);
    else this.#unfinished.set(call, bytes);
  }

  #cut(call: GuardedCall | undefined): void {
    invariant(call !== undefined, "there is one when there are too many");
    this.forget(call);
    this.#hold(call, 0);
    this.#options.onCut(call.path);
    // Callers see RESOURCE_EXHAUSTED. Without a status, which would wait for one that does not read.
    call.stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }
}

/** grpc-js tells of a message when it is whole; how much of it is there only the HTTP/2 stream knows, which is a private field of the innermost call. */
function streamOf(call: object): ServerHttp2Stream {
  const { stream } = call as { readonly stream?: ServerHttp2Stream };
  invariant(stream !== undefined, "the guard is the first interceptor, next to the HTTP/2 stream");
  return stream;
}
