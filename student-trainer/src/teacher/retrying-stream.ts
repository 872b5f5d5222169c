import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";

import type { CallOptions, ClientDuplexStream, ServiceError } from "@grpc/grpc-js";
import type { TeacherClient as GrpcTeacherClient } from "@tandem/proto/gen/tandem/v1/Teacher.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";

import { Backoff } from "./backoff.js";
import { fromServiceError, isConnectionFailure } from "./rpc-error.js";
import type { TeacherConnection } from "./teacher-connection.js";
import type { TeacherOptions } from "./teacher-options.js";

/** Beyond an item's own time limit, before a stream that says nothing is taken for dead. */
const SILENCE_GRACE_MS = 5_000;

export interface StreamHandlers<Response> {
  /** The stream stands (again): send everything that is unanswered. */
  readonly onOpen: () => void;
  readonly onMessage: (message: Response) => void;
  /** The stream is gone; what was sent on it is void. `onOpen` follows if anything is pending. */
  readonly onLost: () => void;
  /** Nothing more will come: settle what is pending. */
  readonly onFatal: (error: TandemError) => void;
  /** When the oldest unanswered item was asked (performance.now()); undefined when nothing is pending. */
  readonly pendingSince: () => number | undefined;
}

export interface RetryingStreamOptions<Request, Response> {
  readonly connection: TeacherConnection;
  readonly teacher: TeacherOptions;
  readonly call: (
    client: GrpcTeacherClient,
    options: CallOptions,
  ) => ClientDuplexStream<Request, Response>;
  readonly handlers: StreamHandlers<Response>;
}

/** A bidirectional stream that comes back: opened when first needed, opened again (next replica, exponential backoff, jitter) when it is lost. */
export class RetryingStream<Request, Response> {
  readonly #options: RetryingStreamOptions<Request, Response>;
  readonly #backoff: Backoff;
  readonly #abort = new AbortController();
  #state: "idle" | "connecting" | "open" | "closed" = "idle";
  #call: ClientDuplexStream<Request, Response> | undefined;
  #watchdog: NodeJS.Timeout | undefined;

  constructor(options: RetryingStreamOptions<Request, Response>) {
    this.#options = options;
    const { retryTimeoutMs, random } = options.teacher;
    this.#backoff = new Backoff({ timeoutMs: retryTimeoutMs, random });
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** Opens the stream if it is not; `onOpen` tells when it stands. */
  ensureOpen(): void {
    if (this.#state !== "idle") return;
    this.#state = "connecting";
    void this.#connect();
  }

  /** Writes a message; only while the stream is open. */
  send(request: Request): void {
    this.#call?.write(request);
  }

  /** Ends the stream for good. Pending items are the owner's to settle. */
  close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#abort.abort();
    clearInterval(this.#watchdog);
    this.#call?.cancel();
    this.#call = undefined;
  }

  async #connect(): Promise<void> {
    const { connection, handlers } = this.#options;
    while (this.#state === "connecting") {
      try {
        // The unary call tells a dead or foreign server from a live one before anything is sent again.
        await connection.describe();
        if (this.#state !== "connecting") return;
        this.#open();
        return;
      } catch (caught) {
        const error = TandemError.from(caught);
        const retry = isConnectionFailure(error) && (await this.#pause(error));
        if (!retry) {
          if (this.#abort.signal.aborted) return;
          this.close();
          handlers.onFatal(giveUp(error, this.#options.teacher));
          return;
        }
      }
    }
  }

  /** False when it is time to give up. */
  async #pause(error: TandemError): Promise<boolean> {
    const delayMs = this.#backoff.next();
    if (delayMs === undefined) return false;
    const { connection, teacher } = this.#options;
    teacher.onEvent?.({ kind: "retry", address: connection.address, delayMs, error });
    connection.rotate();
    try {
      await sleep(delayMs, undefined, { signal: this.#abort.signal });
    } catch {
      return false;
    }
    return true;
  }

  #open(): void {
    const { connection, teacher, handlers, call: start } = this.#options;
    const call = start(connection.client, { deadline: Date.now() + teacher.streamTimeoutMs });
    const address = connection.address;
    this.#call = call;
    this.#state = "open";
    call.on("data", (message: Response) => {
      if (this.#call !== call) return;
      this.#backoff.reset();
      handlers.onMessage(message);
    });
    call.on("error", (error: ServiceError) => this.#lost(call, fromServiceError(error, address)));
    call.on("end", () =>
      this.#lost(call, new TandemError("UNAVAILABLE", `teacher ${address} ended the stream`)),
    );
    this.#watchdog = setInterval(() => this.#checkSilence(call, address), 1_000).unref();
    handlers.onOpen();
  }

  #checkSilence(call: ClientDuplexStream<Request, Response>, address: string): void {
    const since = this.#options.handlers.pendingSince();
    const limit = this.#options.teacher.itemTimeoutMs + SILENCE_GRACE_MS;
    if (since === undefined || performance.now() - since < limit) return;
    const error = new TandemError(
      "DEADLINE_EXCEEDED",
      `teacher ${address} did not answer for ${limit} ms`,
    );
    this.#lost(call, error);
    call.cancel();
  }

  #lost(call: ClientDuplexStream<Request, Response>, error: TandemError): void {
    if (this.#call !== call) return;
    this.#call = undefined;
    clearInterval(this.#watchdog);
    const { handlers, teacher } = this.#options;
    if (!isConnectionFailure(error)) {
      this.close();
      handlers.onFatal(error);
      return;
    }
    handlers.onLost();
    if (handlers.pendingSince() === undefined) {
      this.#state = "idle";
      return;
    }
    this.#state = "connecting";
    void this.#pause(error).then(async (retry) => {
      if (retry) {
        await this.#connect();
        return;
      }
      if (this.#abort.signal.aborted) return;
      this.close();
      handlers.onFatal(giveUp(error, teacher));
    });
  }
}

function giveUp(error: TandemError, teacher: TeacherOptions): TandemError {
  if (!isConnectionFailure(error)) return error;
  return new TandemError(
    "UNAVAILABLE",
    `no answer from the teacher at ${teacher.addresses.join(", ")} for ${teacher.retryTimeoutMs} ms (teacher.retryTimeoutMs); last: ${error.message}`,
    { cause: error, field: "teacher.address" },
  );
}
