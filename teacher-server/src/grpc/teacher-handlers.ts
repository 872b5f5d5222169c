import type {
  sendUnaryData,
  ServerDuplexStream,
  ServerUnaryCall,
  ServerWritableStream,
} from "@grpc/grpc-js";
import type { DescribeResponse } from "@tandem/proto/gen/tandem/v1/DescribeResponse.js";
import type { GenerateRequest__Output } from "@tandem/proto/gen/tandem/v1/GenerateRequest.js";
import type { GenerateResponse } from "@tandem/proto/gen/tandem/v1/GenerateResponse.js";
import type { InterleaveRequest__Output } from "@tandem/proto/gen/tandem/v1/InterleaveRequest.js";
import type { InterleaveResponse } from "@tandem/proto/gen/tandem/v1/InterleaveResponse.js";
import type { ScoreRequest__Output } from "@tandem/proto/gen/tandem/v1/ScoreRequest.js";
import type { ScoreResponse } from "@tandem/proto/gen/tandem/v1/ScoreResponse.js";
import type { TeacherHandlers } from "@tandem/proto/gen/tandem/v1/Teacher.js";
import type { CallContext, CallStream, LiveCall, Method } from "../calls/call-context.js";
import { GenerateCall, type GenerateAnswers } from "../calls/generate-call.js";
import { InterleaveCall } from "../calls/interleave-call.js";
import { ScoreCall } from "../calls/score-call.js";
import { principalOf } from "./authenticate.js";
import { CallRecord } from "./call-record.js";
import { noteSize, receivedOf } from "./measured-service.js";
import { ServedStream, type StreamOptions } from "./served-stream.js";
import { toStatus } from "./to-status.js";

export interface HandlerOptions extends StreamOptions {
  /** @throws TandemError UNAVAILABLE while the model is loading. */
  readonly describe: () => DescribeResponse;
}

/** The handlers of `tandem.v1.Teacher`: they connect gRPC calls to the calls of this program and hold no logic of their own. */
export function createTeacherHandlers(options: HandlerOptions): TeacherHandlers {
  return {
    Describe: (
      call: ServerUnaryCall<object, DescribeResponse>,
      callback: sendUnaryData<DescribeResponse>,
    ) => {
      const record = new CallRecord(options, "Describe", call);
      call.on("cancelled", () => record.ended("CANCELLED"));
      try {
        const { budget } = principalOf(call.metadata);
        budget.admit(0);
        const response = options.describe();
        const { sizeBytes } = receivedOf(call.request);
        record.tally.receivedBytes = sizeBytes;
        noteSize(response, (sentBytes) => {
          record.tally.sentBytes = sentBytes;
          budget.spendBytes(sizeBytes + sentBytes);
          record.ended("OK");
        });
        callback(null, response);
      } catch (caught) {
        callback(toStatus(record.failed(caught)));
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
      ServedStream.start(options, {
        method: "Generate",
        call,
        create: (context, stream: CallStream<GenerateAnswers>) => new GenerateCall(context, stream),
      })?.receive(call.request, (live) => live.begin(call.request));
    },
  };
}

interface DuplexCall<In> extends LiveCall {
  readonly receive: (message: In) => void;
  readonly endInput: () => void;
}

function serveDuplex<In extends object, Out, M extends Out & object>(
  options: HandlerOptions,
  method: Method,
  call: ServerDuplexStream<In, Out>,
  create: (context: CallContext, stream: CallStream<M>) => DuplexCall<In>,
): void {
  const setReading = (reading: boolean): void => void (reading ? call.resume() : call.pause());
  const served = ServedStream.start(options, { method, call, create, setReading });
  if (served === undefined) return;
  call.on("data", (message: In) => served.receive(message, (live) => live.receive(message)));
  call.on("end", () => served.endInput((live) => live.endInput()));
}
