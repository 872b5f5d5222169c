import type {
  sendUnaryData,
  ServerDuplexStream,
  ServerUnaryCall,
  ServerWritableStream,
} from "@grpc/grpc-js";
import type { Writable } from "node:stream";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { DescribeResponse } from "@tandem/proto/gen/tandem/v1/DescribeResponse.js";
import type { GenerateRequest__Output } from "@tandem/proto/gen/tandem/v1/GenerateRequest.js";
import type { GenerateResponse } from "@tandem/proto/gen/tandem/v1/GenerateResponse.js";
import type { InterleaveRequest__Output } from "@tandem/proto/gen/tandem/v1/InterleaveRequest.js";
import type { InterleaveResponse } from "@tandem/proto/gen/tandem/v1/InterleaveResponse.js";
import type { ScoreRequest__Output } from "@tandem/proto/gen/tandem/v1/ScoreRequest.js";
import type { ScoreResponse } from "@tandem/proto/gen/tandem/v1/ScoreResponse.js";
import type { TeacherHandlers } from "@tandem/proto/gen/tandem/v1/Teacher.js";
import { anonymousIdentity } from "../auth/identity.js";
import type { CallContext, CallStream, LiveCall, Method } from "../calls/call-context.js";
import { GenerateCall } from "../calls/generate-call.js";
import { InterleaveCall } from "../calls/interleave-call.js";
import { ScoreCall } from "../calls/score-call.js";
import type { CallRegistry } from "./call-registry.js";
import { StreamWriter } from "./stream-writer.js";
import { toStatus } from "./to-status.js";

/** Messages of at most 1 MiB that may wait for a slow reader before its work is suspended. */
const CONGESTED_MESSAGES = 4;

export interface HandlerOptions {
  /** @throws TandemError UNAVAILABLE while the model is loading. */
  readonly context: () => CallContext;
  /** @throws TandemError UNAVAILABLE while the model is loading. */
  readonly describe: () => DescribeResponse;
  readonly calls: CallRegistry;
  readonly onCall: (method: Method, code: "OK" | TandemError["code"]) => void;
  /** A fault whose details stay in the log. */
  readonly onInternal: (method: Method, error: TandemError) => void;
}

/** The handlers of `tandem.v1.Teacher`: they connect gRPC calls to the calls of this program and hold no logic of their own. */
export function createTeacherHandlers(options: HandlerOptions): TeacherHandlers {
  return {
    Describe: (
      _call: ServerUnaryCall<unknown, DescribeResponse>,
      callback: sendUnaryData<DescribeResponse>,
    ) => {
      try {
        const response = options.describe();
        options.onCall("Describe", "OK");
        callback(null, response);
      } catch (caught) {
        callback(failed(options, "Describe", caught));
      }
    },
    Score: (call: ServerDuplexStream<ScoreRequest__Output, ScoreResponse>) =>
      serveDuplex(options, "Score", call, (context, stream) => new ScoreCall(context, stream)),
    Interleave: (call: ServerDuplexStream<InterleaveRequest__Output, InterleaveResponse>) =>
      serveDuplex(
        options,
        "Interleave",
        call,
        (context, stream) => new InterleaveCall(context, stream),
      ),
    Generate: (call: ServerWritableStream<GenerateRequest__Output, GenerateResponse>) => {
      serveStream(
        options,
        "Generate",
        call,
        (context, stream) => new GenerateCall(context, stream, call.request),
      );
    },
  };
}

interface DuplexCall<In> extends LiveCall {
  readonly receive: (message: In) => void;
  readonly endInput: () => void;
}

function serveDuplex<In, Out, M extends Out>(
  options: HandlerOptions,
  method: Method,
  call: ServerDuplexStream<In, Out>,
  create: (context: CallContext, stream: CallStream<M>) => DuplexCall<In>,
): void {
  const served = serveStream(options, method, call, create);
  if (served === undefined) return;
  call.on("data", (message: In) => served.guard(() => served.live.receive(message)));
  call.on("end", () => served.guard(() => served.live.endInput()));
}

/** What the handlers need of a server-side stream of any kind. */
interface ServerStream extends Writable {
  readonly getPeer: () => string;
  readonly getDeadline: () => Date | number;
}

function serveStream<M, C extends LiveCall>(
  options: HandlerOptions,
  method: Method,
  call: ServerStream,
  create: (context: CallContext, stream: CallStream<M>) => C,
): { readonly live: C; readonly guard: (action: () => void) => void } | undefined {
  let context: CallContext;
  let live: C | undefined;
  try {
    context = options.context();
    context.assertAccepting();
  } catch (caught) {
    call.emit("error", failed(options, method, caught));
    return undefined;
  }
  const client = options.calls.nextClient();
  const writer = new StreamWriter<M>(call, {
    congestedAt: CONGESTED_MESSAGES,
    onCongested: () => context.loop.setPaused(client, true),
    onRelieved: () => context.loop.setPaused(client, false),
  });
  const forget = (): void => {
    writer.close();
    options.calls.remove(client);
    live?.close();
  };
  const fail = (caught: unknown): void => {
    const status = failed(options, method, caught);
    writer.finish(() => {
      call.emit("error", status);
      forget();
    });
  };
  const end = (): void =>
    writer.finish(() => {
      options.onCall(method, "OK");
      call.end();
      forget();
    });
  const guard = (action: () => void): void => {
    try {
      action();
    } catch (caught) {
      fail(caught);
    }
  };
  call.on("cancelled", () => {
    options.onCall(method, "CANCELLED");
    forget();
  });
  const stream: CallStream<M> = {
    client,
    identity: anonymousIdentity(call.getPeer()),
    deadlineMs: toClock(call.getDeadline(), context),
    send: (message) => writer.write(message),
    end,
    fail,
  };
  guard(() => {
    live = create(context, stream);
    options.calls.add(client, live);
  });
  return live === undefined ? undefined : { live, guard };
}

function failed(
  options: HandlerOptions,
  method: Method,
  caught: unknown,
): ReturnType<typeof toStatus> {
  const error = TandemError.from(caught);
  options.onCall(method, error.code);
  if (error.code === "INTERNAL") options.onInternal(method, error);
  return toStatus(error);
}

/** A gRPC deadline (wall clock) on the scale of our clock. */
function toClock(deadline: Date | number, { clock }: CallContext): number {
  const wallMs = deadline instanceof Date ? deadline.getTime() : deadline;
  return wallMs === Infinity ? Infinity : clock.now() + (wallMs - Date.now());
}
