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
import type { Replica } from "./replica.js";
import type { ReplicaPool } from "./replica-pool.js";
import { fromItemError, fromServiceError, isConnectionFailure } from "./rpc-error.js";
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

/** The teacher writes responses, shared out to the replicas that serve. What was unfinished when a stream was lost is written again from its prompt: same keys, same tokens.
 * @throws TandemError UNAVAILABLE after teacher.retryTimeoutMs without progress, or what the server says of an item. */
export async function generateResponses(
  pool: ReplicaPool,
  teacher: TeacherOptions,
  order: GenerateOrder,
): Promise<GeneratedResponse[]> {
  const drafts: Draft[] = order.items.map(() => ({ tokens: [], frames: [] }));
  const backoff = new Backoff({ timeoutMs: teacher.retryTimeoutMs, random: teacher.random });
  for (;;) {
    const unfinished = drafts.flatMap(({ done }, i) => (done === undefined ? [i] : []));
    if (unfinished.length === 0) return drafts.map(({ done }) => done as GeneratedResponse);
    const replicas = await servingReplicas(pool, teacher, order.abort);
    const shares = replicas.map((replica, r) => ({
      replica,
      items: unfinished.filter((_, i) => i % replicas.length === r),
    }));
    const errors = await Promise.all(
      shares
        .filter(({ items }) => items.length > 0)
        .map((share) => generateShare(share, { teacher, order, drafts }, () => backoff.reset())),
    );
    if (order.abort?.aborted === true) throw new TandemError("CANCELLED", "interrupted");
    const failures = errors.filter((error) => error !== undefined);
    const error = failures.find((each) => !mayRepeat(each)) ?? failures[0];
    if (error === undefined) continue;
    const delayMs = mayRepeat(error) ? backoff.next(error.retryDelayMs) : undefined;
    if (delayMs === undefined) throw error;
    await pause(delayMs, order.abort);
  }
}

function mayRepeat(error: TandemError): boolean {
  return error.retryable || isConnectionFailure(error);
}

/** @throws TandemError UNAVAILABLE when none serves for `retryTimeoutMs`; at once when none is our teacher. */
async function servingReplicas(
  pool: ReplicaPool,
  teacher: TeacherOptions,
  abort: AbortSignal | undefined,
): Promise<readonly Replica[]> {
  const serving = () => pool.replicas.filter(({ room }) => room > 0);
  await pool.until(
    () => serving().length > 0 || pool.refusal !== undefined,
    teacher.retryTimeoutMs,
    abort,
  );
  const replicas = serving();
  if (replicas.length > 0) return replicas;
  throw pool.refusal ?? pool.lossOf(teacher.retryTimeoutMs);
}

interface Share {
  readonly replica: Replica;
  /** Indices of the order's items. */
  readonly items: readonly number[];
}

interface Work {
  readonly teacher: TeacherOptions;
  readonly order: GenerateOrder;
  readonly drafts: readonly Draft[];
}

/** One call to one replica; the error that ended it or one of its items, if any. */
function generateShare(
  { replica, items }: Share,
  { teacher, order, drafts }: Work,
  onProgress: () => void,
): Promise<TandemError | undefined> {
  const { address } = replica;
  const request = toRequest(order, { drafts, items }, teacher);
  const deadline = Date.now() + teacher.streamTimeoutMs;
  return new Promise((resolve) => {
    let itemError: TandemError | undefined;
    const call = replica.client.Generate(request, { deadline });
    const cancel = () => call.cancel();
    order.abort?.addEventListener("abort", cancel);
    const end = (error: TandemError | undefined): void => {
      order.abort?.removeEventListener("abort", cancel);
      if (error !== undefined && mayRepeat(error)) replica.lost();
      else replica.succeeded();
      resolve(error);
    };
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
    call.on("error", (error: ServiceError) => end(itemError ?? fromServiceError(error, address)));
    call.on("end", () => end(itemError ?? missingOf(drafts, items, address)));
  });
}

function missingOf(
  drafts: readonly Draft[],
  items: readonly number[],
  address: string,
): TandemError | undefined {
  const missing = items.filter((i) => drafts[i]?.done === undefined).length;
  if (missing === 0) return undefined;
  return new TandemError("UNAVAILABLE", `teacher ${address} left ${missing} responses unfinished`);
}

function toRequest(
  order: GenerateOrder,
  { drafts, items }: { readonly drafts: readonly Draft[]; readonly items: readonly number[] },
  teacher: TeacherOptions,
): GenerateRequest {
  return {
    items: items.map((sequence) => {
      const { rngKey, prompt } = order.items[sequence] as GenerateOrder["items"][number];
      const draft = drafts[sequence] as Draft;
      draft.tokens.length = 0;
      draft.frames.length = 0;
      return { sequence, rngKey, prompt: u32ToBytes(prompt) };
    }),
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
