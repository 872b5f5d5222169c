import type { ServiceError } from "@grpc/grpc-js";
import type { GenerateChunk__Output } from "@tandem/proto/gen/tandem/v1/GenerateChunk.js";
import type { GenerateRequest } from "@tandem/proto/gen/tandem/v1/GenerateRequest.js";
import type { GenerateResponse__Output } from "@tandem/proto/gen/tandem/v1/GenerateResponse.js";
import type { SignalFrame__Output } from "@tandem/proto/gen/tandem/v1/SignalFrame.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { SamplingParams } from "@tandem/shared/sampling/sampling-params.js";
import { u32FromBytes, u32ToBytes } from "./u32-bytes.js";
import type { SignalSpec, TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";

import { Backoff } from "./backoff.js";
import { responsePositions } from "./response-positions.js";
import { pause } from "./pause.js";
import { readFrames } from "./read-frames.js";
import { fromItemError, fromServiceError, isConnectionFailure } from "./rpc-error.js";
import type { TeacherConnection } from "./teacher-connection.js";
import type { TeacherOptions } from "./teacher-options.js";
import { toWireSampling, toWireSpec } from "./to-wire.js";

export interface GenerateOrder {
  readonly items: readonly { readonly rngKey: number; readonly prompt: Uint32Array }[];
  readonly sampling: SamplingParams;
  readonly maxResponse: number;
  readonly stopIds: readonly number[];
  readonly runSeed: number;
  readonly signal: SignalSpec;
  readonly abort?: AbortSignal;
  /** The teacher's, for its frames. */
  readonly vocabSize: number;
}

export interface GeneratedResponse {
  readonly tokens: Uint32Array;
  readonly signal: TeacherSignal | undefined;
  readonly finish: "stop" | "length";
  readonly computedPositions: number;
}

interface Draft {
  readonly tokens: number[];
  readonly frames: SignalFrame__Output[];
  done?: GeneratedResponse;
}

/** The teacher writes responses. What was unfinished when a stream was lost is written again from its prompt: same keys, same tokens.
 * @throws TandemError UNAVAILABLE after teacher.retryTimeoutMs without progress, or what the server says of an item. */
export async function generateResponses(
  connection: TeacherConnection,
  teacher: TeacherOptions,
  order: GenerateOrder,
): Promise<GeneratedResponse[]> {
  const drafts: Draft[] = order.items.map(() => ({ tokens: [], frames: [] }));
  const backoff = new Backoff({ timeoutMs: teacher.retryTimeoutMs, random: teacher.random });
  while (drafts.some(({ done }) => done === undefined)) {
    let error: TandemError | undefined;
    try {
      await connection.describe();
      error = await generateOnce(connection, teacher, order, drafts, () => backoff.reset());
    } catch (caught) {
      error = TandemError.from(caught);
    }
    if (error === undefined) continue;
    if (order.abort?.aborted === true) throw new TandemError("CANCELLED", "interrupted");
    const delayMs =
      error.retryable || isConnectionFailure(error) ? backoff.next(error.retryDelayMs) : undefined;
    if (delayMs === undefined) throw error;
    teacher.onEvent?.({ kind: "retry", address: connection.address, delayMs, error });
    connection.rotate();
    await pause(delayMs, order.abort);
  }
  return drafts.map(({ done }) => done as GeneratedResponse);
}

/** One call for all that is unfinished; the error that ended it or one of its items, if any. */
function generateOnce(
  connection: TeacherConnection,
  teacher: TeacherOptions,
  order: GenerateOrder,
  drafts: readonly Draft[],
  onProgress: () => void,
): Promise<TandemError | undefined> {
  const { address } = connection;
  const request = toRequest(order, drafts, teacher);
  const deadline = Date.now() + teacher.streamTimeoutMs;
  return new Promise((resolve) => {
    let itemError: TandemError | undefined;
    const call = connection.client.Generate(request, { deadline });
    call.on("data", (message: GenerateResponse__Output) => {
      onProgress();
      try {
        for (const chunk of message.chunks)
          takeChunk(drafts[chunk.sequence], chunk, order.vocabSize);
        for (const error of message.errors) itemError ??= fromItemError(error);
      } catch (caught) {
        itemError ??= TandemError.from(caught);
        call.cancel();
      }
    });
    call.on("error", (error: ServiceError) =>
      resolve(itemError ?? fromServiceError(error, address)),
    );
    call.on("end", () => resolve(itemError ?? missingOf(drafts, address)));
  });
}

function missingOf(drafts: readonly Draft[], address: string): TandemError | undefined {
  const missing = drafts.filter(({ done }) => done === undefined).length;
  if (missing === 0) return undefined;
  return new TandemError("UNAVAILABLE", `teacher ${address} left ${missing} responses unfinished`);
}

function toRequest(
  order: GenerateOrder,
  drafts: readonly Draft[],
  teacher: TeacherOptions,
): GenerateRequest {
  const items = order.items.flatMap(({ rngKey, prompt }, sequence) => {
    const draft = drafts[sequence] as Draft;
    draft.tokens.length = 0;
    draft.frames.length = 0;
    return draft.done === undefined ? [{ sequence, rngKey, prompt: u32ToBytes(prompt) }] : [];
  });
  return {
    items,
    sampling: toWireSampling(order.sampling),
    maxResponse: order.maxResponse,
    stopIds: [...order.stopIds],
    runSeed: order.runSeed,
    signal: toWireSpec(order.signal, teacher),
    timeoutMs: 0,
  };
}

function takeChunk(
  draft: Draft | undefined,
  chunk: GenerateChunk__Output,
  vocabSize: number,
): void {
  if (draft === undefined || chunk.start !== draft.tokens.length) {
    throw new TandemError("DATA_LOSS", "the teacher sent a chunk that was not asked for");
  }
  draft.tokens.push(...u32FromBytes(chunk.tokens, "chunk.tokens"));
  draft.frames.push(...chunk.frames);
  if (chunk.finish === "FINISH_UNSPECIFIED") return;
  draft.done = {
    tokens: Uint32Array.from(draft.tokens),
    signal: readFrames(draft.frames, vocabSize),
    finish: chunk.finish === "FINISH_STOP" ? "stop" : "length",
    computedPositions: responsePositions(chunk.usage),
  };
}
