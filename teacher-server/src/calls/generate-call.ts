import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { cutAtStop } from "@tandem/shared/sampling/stops.js";
import type { GenerateChunk } from "@tandem/proto/gen/tandem/v1/GenerateChunk.js";
import type { GenerateRequest__Output } from "@tandem/proto/gen/tandem/v1/GenerateRequest.js";
import {
  admitGeneration,
  admitPrompt,
  type ValidGeneration,
  type ValidPrompt,
} from "../admission/admit-generate.js";
import { NO_USAGE, type JobUsage } from "../scheduler/job.js";
import type { Ticket } from "../admission/admission.js";
import { promptDemand } from "../admission/demand.js";
import type { JobProgress } from "../scheduler/scheduler.js";
import { itemDeadline, type CallContext, type CallStream, type LiveCall } from "./call-context.js";
import { Outbox } from "./outbox.js";
import { ANSWER_OVERHEAD_BYTES, packFrames } from "./pack-frames.js";
import { toBytes, toItemError, toWireFinish, toWireUsage } from "./to-wire.js";

/** What a Generate stream writes. */
export interface GenerateAnswers {
  readonly chunks: GenerateChunk[];
  readonly errors: ReturnType<typeof toItemError>[];
}

interface Writing {
  readonly ticket: Ticket;
  readonly generation: ValidGeneration;
  readonly prompt: ValidPrompt;
  readonly cache: number;
  /** Prompt and response; `length` of them are known. */
  readonly tokens: Uint32Array;
  length: number;
  job: number;
  usage: JobUsage;
}

/** One Generate call: every sequence has one job per token, so that sequences join and leave at every step. */
export class GenerateCall implements LiveCall {
  readonly #context: CallContext;
  readonly #stream: CallStream<GenerateAnswers>;
  readonly #outbox: Outbox<GenerateAnswers>;
  readonly #writing = new Set<Writing>();
  #deadlineMs = Infinity;
  #ended = false;

  constructor(context: CallContext, stream: CallStream<GenerateAnswers>) {
    this.#context = context;
    this.#stream = stream;
    this.#outbox = new Outbox({
      create: (): GenerateAnswers => ({ chunks: [], errors: [] }),
      send: stream.send,
      limitBytes: context.limits.maxMessageBytes,
    });
  }

  /** Begins to write.
   * @throws TandemError for faults of the whole call. */
  begin(request: GenerateRequest__Output): void {
    const { limits, clock, admission } = this.#context;
    const { budget } = this.#stream;
    const generation = admitGeneration(request, limits);
    this.#deadlineMs = itemDeadline(clock.now(), generation.timeoutMs, this.#stream.deadlineMs);
    for (const item of request.items) {
      try {
        const prompt = admitPrompt(item, generation, limits);
        const deadlineMs = this.#deadlineMs;
        const demand = promptDemand(prompt, generation, { limits, deadlineMs });
        const ticket = admission.admit(demand);
        try {
          budget.admit(prompt.prompt.length);
        } catch (error) {
          ticket.release();
          throw error;
        }
        this.#beginOne(prompt, generation, ticket);
      } catch (caught) {
        this.#refuse(item.sequence, TandemError.from(caught));
      }
    }
    this.#endIfDone();
  }

  close(): void {
    for (const writing of this.#writing) {
      writing.ticket.release();
      this.#context.loop.cancel(writing.job);
      this.#context.pool.free(writing.cache);
    }
    this.#writing.clear();
  }

  /** What was asked is written to its end; the shutdown timeout is the limit. */
  drain(): void {
    this.#endIfDone();
  }

  expireLeases(): void {}

  #beginOne(prompt: ValidPrompt, generation: ValidGeneration, ticket: Ticket): void {
    const tokens = new Uint32Array(prompt.prompt.length + generation.maxResponse);
    tokens.set(prompt.prompt);
    const writing = {
      ticket,
      generation,
      prompt,
      cache: this.#context.nextCache(),
      tokens,
      length: prompt.prompt.length,
      job: 0,
      usage: NO_USAGE,
    };
    this.#writing.add(writing);
    this.#submit(writing);
  }

  #submit(writing: Writing): void {
    const { sampling, runSeed, signal, priority } = writing.generation;
    const { rngKey, prompt } = writing.prompt;
    writing.job = this.#context.loop.submit(
      {
        client: this.#stream.client,
        owner: this.#stream.owner,
        priority,
        kind: "generate",
        cache: writing.cache,
        tokens: writing.tokens.slice(0, writing.length),
        headFrom: writing.length - 1,
        head: {
          targets: new Uint32Array(0),
          spec: signal.spec,
          random: { runSeed, rngKey, firstPosition: writing.length - prompt.length },
          sample: sampling,
        },
        encoding: signal.encoding,
        atomic: true,
        maxLength: writing.tokens.length,
        deadlineMs: this.#deadlineMs,
      },
      {
        onProgress: (progress) => this.#progress(writing, progress),
        onFailure: (error) => {
          this.#refuse(writing.prompt.sequence, error);
          this.#forget(writing);
        },
      },
    );
  }

  #progress(writing: Writing, { result, usage }: JobProgress): void {
    if (result.sampled === undefined)
      throw new TandemError("INTERNAL", "a generation step came back without a token");
    const { stopIds } = writing.generation;
    const start = writing.length - writing.prompt.prompt.length;
    const { finish } = cutAtStop([result.sampled], stopIds, writing.tokens.length - writing.length);
    writing.tokens[writing.length++] = result.sampled;
    writing.usage = addUsage(writing.usage, usage);
    this.#stream.budget.spendTokens(1);
    this.#context.observer.onPositions("prefill", usage.prefillPositions);
    this.#context.observer.onPositions(
      "generate",
      usage.computedPositions - usage.prefillPositions,
    );
    // One row of signal never exceeds a message: admission has seen to that.
    for (const { frames, sizeBytes } of packFrames(
      result.frames,
      this.#context.limits.maxMessageBytes - ANSWER_OVERHEAD_BYTES,
    )) {
      const chunk: GenerateChunk = {
        sequence: writing.prompt.sequence,
        start,
        tokens: toBytes(Uint32Array.of(result.sampled)),
        frames: [...frames],
        finish: toWireFinish(finish),
        usage: finish === "none" ? null : toWireUsage(writing.usage),
      };
      this.#outbox.add(sizeBytes + ANSWER_OVERHEAD_BYTES, ({ chunks }) => chunks.push(chunk));
    }
    if (finish === "none") return this.#submit(writing);
    this.#context.observer.onItem("Generate", "OK", writing.usage);
    this.#forget(writing);
  }

  #refuse(sequence: number, error: TandemError): void {
    this.#context.observer.onItem("Generate", error.code);
    if (error.code === "INTERNAL")
      this.#context.logger.error({ event: "item.failed", err: error }, "a sequence failed");
    this.#outbox.add(ANSWER_OVERHEAD_BYTES + error.message.length, ({ errors }) =>
      errors.push(toItemError(error, sequence)),
    );
  }

  #forget(writing: Writing): void {
    this.#writing.delete(writing);
    writing.ticket.release();
    this.#context.pool.free(writing.cache);
    this.#endIfDone();
  }

  #endIfDone(): void {
    if (this.#ended || this.#writing.size > 0) return;
    this.#ended = true;
    this.#outbox.flush();
    this.#stream.end();
  }
}

function addUsage(a: JobUsage, b: JobUsage): JobUsage {
  return {
    computedPositions: a.computedPositions + b.computedPositions,
    prefillPositions: a.prefillPositions + b.prefillPositions,
    reusedPositions: a.reusedPositions + b.reusedPositions,
    savedPositions: a.savedPositions + b.savedPositions,
    queueMs: a.queueMs + b.queueMs,
    computeMs: a.computeMs + b.computeMs,
  };
}
