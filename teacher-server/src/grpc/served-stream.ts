import type { Writable } from "node:stream";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { Ticket } from "../admission/admission.js";
import type { Principal } from "../auth/principal.js";
import type { CallContext, CallStream, LiveCall, Method } from "../calls/call-context.js";
import type { Owner } from "../scheduler/job.js";
import { principalOf } from "./authenticate.js";
import { CallRecord, type CallListeners, type NamedCall } from "./call-record.js";
import type { CallRegistry } from "./call-registry.js";
import { tallying } from "./call-tally.js";
import { noteSize, receivedOf } from "./measured-service.js";
import { ownerOf } from "./owner-of.js";
import { StreamWriter } from "./stream-writer.js";
import { toStatus } from "./to-status.js";

/** Messages of at most 1 MiB that may wait for a slow reader before its work is suspended. */
const CONGESTED_MESSAGES = 4;

export interface StreamOptions extends CallListeners {
  /** @throws TandemError UNAVAILABLE while the model is loading. */
  readonly context: (owner: Owner) => CallContext;
  readonly calls: CallRegistry;
}

/** What is needed of a server-side stream of any kind. */
export interface ServerStream extends Writable, NamedCall {
  readonly getDeadline: () => Date | number;
}

export interface StreamPlan<M, C extends LiveCall> {
  readonly method: Method;
  readonly call: ServerStream;
  readonly create: (context: CallContext, stream: CallStream<M>) => C;
  /** Stops and resumes taking messages. */
  readonly setReading?: (reading: boolean) => void;
}

/** A stream and the object that answers it, from its first message to its line in the audit log. */
export class ServedStream<M extends object, C extends LiveCall> {
  readonly #plan: StreamPlan<M, C>;
  readonly #calls: CallRegistry;
  readonly #context: CallContext;
  readonly #principal: Principal;
  readonly #owner: Owner;
  readonly #record: CallRecord;
  readonly #client: number;
  readonly #writer: StreamWriter<M>;
  #live: C | undefined;
  /** Answers that the client has not taken. */
  readonly #held = new Set<Ticket>();
  #open = true;
  #congested = false;

  private constructor(
    { calls, ...options }: StreamOptions,
    plan: StreamPlan<M, C>,
    record: CallRecord,
  ) {
    this.#plan = plan;
    this.#calls = calls;
    this.#record = record;
    this.#principal = principalOf(plan.call.metadata);
    this.#owner = ownerOf(this.#principal.identity, plan.call.metadata);
    this.#context = options.context(this.#owner);
    this.#context.assertAccepting();
    calls.assertRoom();
    this.#principal.budget.openStream();
    this.#client = calls.nextClient();
    this.#writer = new StreamWriter<M>(plan.call, {
      congestedAt: CONGESTED_MESSAGES,
      onCongested: () => this.#setCongested(true),
      onRelieved: () => this.#setCongested(false),
    });
    plan.call.on("cancelled", () => {
      record.ended("CANCELLED");
      this.#forget();
    });
  }

  /** Begins to serve; a client that may not have this stream now hears so. */
  static start<M extends object, C extends LiveCall>(
    options: StreamOptions,
    plan: StreamPlan<M, C>,
  ): ServedStream<M, C> | undefined {
    const record = new CallRecord(options, plan.method, plan.call);
    try {
      const stream = new ServedStream(options, plan, record);
      stream.#begin();
      return stream;
    } catch (caught) {
      plan.call.emit("error", toStatus(record.failed(caught)));
      return undefined;
    }
  }

  /** Hands on a message. What is thrown over it ends the stream. */
  receive(message: object, handOn: (live: C) => void): void {
    this.#guard((live) => {
      const { sizeBytes, fault } = receivedOf(message);
      this.#record.tally.receivedBytes += sizeBytes;
      this.#principal.budget.spendBytes(sizeBytes);
      if (fault !== undefined) throw fault;
      handOn(live);
    });
  }

  /** The client has half-closed. */
  endInput(handOn: (live: C) => void): void {
    this.#guard(handOn);
  }

  #begin(): void {
    const observer = tallying(this.#context.observer, this.#record.tally);
    try {
      this.#live = this.#plan.create({ ...this.#context, observer }, this.#stream());
    } catch (caught) {
      this.#fail(caught);
      return;
    }
    // A call may have ended while it was made.
    if (this.#open) this.#calls.add(this.#client, this.#live, () => this.#recheck());
  }

  #stream(): CallStream<M> {
    const { call } = this.#plan;
    const { identity, budget } = this.#principal;
    return {
      client: this.#client,
      owner: this.#owner,
      identity,
      budget,
      deadlineMs: toClock(call.getDeadline(), this.#context),
      isCongested: () => this.#congested,
      send: (message, sizeBytes) => this.#send(message, sizeBytes),
      end: () =>
        this.#writer.finish(() => {
          this.#record.ended("OK");
          call.end();
          this.#forget();
        }),
      fail: (error) => this.#fail(error),
    };
  }

  #send(message: M, estimatedBytes: number): void {
    // What a call collected in the turn in which its stream went.
    if (!this.#open) return;
    const held = this.#context.admission.hold(estimatedBytes);
    this.#held.add(held);
    noteSize(message, (sizeBytes) => {
      this.#record.tally.sentBytes += sizeBytes;
      this.#principal.budget.spendBytes(sizeBytes);
    });
    this.#writer.write(message, () => {
      held.release();
      this.#held.delete(held);
    });
  }

  #guard(action: (live: C) => void): void {
    if (!this.#open || this.#live === undefined) return;
    try {
      action(this.#live);
    } catch (caught) {
      this.#fail(caught);
    }
  }

  /** Ends the stream behind what was answered already. */
  #fail(caught: unknown): void {
    const error = this.#record.failed(caught);
    this.#writer.finish(() => this.#cut(error));
  }

  #cut(error: TandemError): void {
    this.#plan.call.emit("error", toStatus(error));
    this.#forget();
  }

  #recheck(): void {
    if (this.#principal.isCurrent()) return;
    const { name } = this.#principal.identity;
    const message = `what client ${name} was let in with is no longer good`;
    // At once: what waits for a slow reader is not for somebody who is not let in any more.
    this.#cut(this.#record.failed(new TandemError("UNAUTHENTICATED", message)));
  }

  /** A client that does not read its answers is computed for no more, and nothing more is taken from it. */
  #setCongested(congested: boolean): void {
    this.#congested = congested;
    this.#context.loop.setPaused(this.#client, congested);
    if (!this.#open) return;
    this.#plan.setReading?.(!congested);
    if (!congested) this.#live?.resume?.();
  }

  #forget(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#writer.close();
    for (const held of this.#held) held.release();
    this.#held.clear();
    this.#calls.remove(this.#client);
    this.#live?.close();
    this.#principal.budget.closeStream();
  }
}

/** A gRPC deadline (wall clock) on the scale of our clock. */
function toClock(deadline: Date | number, { clock }: CallContext): number {
  const wallMs = deadline instanceof Date ? deadline.getTime() : deadline;
  return wallMs === Infinity ? Infinity : clock.now() + (wallMs - Date.now());
}
