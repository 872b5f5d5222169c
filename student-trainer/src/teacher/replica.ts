import { performance } from "node:perf_hooks";

import type { ServiceError } from "@grpc/grpc-js";
import type { TeacherClient as GrpcTeacherClient } from "@tandem/proto/gen/tandem/v1/Teacher.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";

import { Backoff } from "./backoff.js";
import { CircuitBreaker } from "./circuit-breaker.js";
import { openChannel, type TeacherChannel } from "./open-channel.js";
import { pause } from "./pause.js";
import { fromServiceError, isConnectionFailure } from "./rpc-error.js";
import type { TeacherDescription } from "./teacher-description.js";
import type { TeacherOptions } from "./teacher-options.js";
import type { ChannelSecurity } from "./teacher-security.js";

const HEALTH_SERVICE = "tandem.v1.Teacher";

/** Answers to a health question of servers (or proxies) that do not tell their health. */
const NO_HEALTH: ReadonlySet<string> = new Set([
  "UNIMPLEMENTED",
  "UNAUTHENTICATED",
  "PERMISSION_DENIED",
]);

export interface ReplicaOptions {
  readonly address: string;
  /** Where the address is one of several behind a name: that name. */
  readonly name?: string;
  readonly teacher: TeacherOptions;
  readonly security: ChannelSecurity;
  /** Throws when the server is not the teacher of this run. */
  readonly admit: (description: TeacherDescription, address: string) => void;
  readonly onChange: () => void;
}

/** `not-serving`: it is there and takes no work (loading, draining, its engine restarts). `refused`: it is there and is not our teacher. */
type ReplicaState = "connecting" | "serving" | "not-serving" | "refused" | "closed";

/** One server: follows its health, checks on every connection that it is the teacher of the run, and remembers how its calls went. */
export class Replica {
  readonly address: string;
  readonly #options: ReplicaOptions;
  readonly #channel: TeacherChannel;
  readonly #breaker: CircuitBreaker;
  readonly #abort = new AbortController();
  #state: ReplicaState = "connecting";
  #error: TandemError | undefined;
  #broken: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ReplicaOptions) {
    const { address, teacher } = options;
    this.address = address;
    this.#options = options;
    this.#channel = openChannel({ ...options, keepaliveMs: teacher.keepaliveMs });
    this.#breaker = new CircuitBreaker(teacher.random);
    void this.#follow();
  }

  get client(): GrpcTeacherClient {
    return this.#channel.teacher;
  }

  get state(): ReplicaState {
    return this.#state;
  }

  /** Why it is not serving, as far as known. */
  get error(): TandemError | undefined {
    return this.#error;
  }

  /** Has it answered or failed since it is known? */
  get isSettled(): boolean {
    return this.#state !== "connecting" || this.#error !== undefined;
  }

  /** Items that may be with it at once. */
  get room(): number {
    return this.#state === "serving" ? this.#breaker.room(performance.now()) : 0;
  }

  /** A stream broke. */
  lost(): void {
    this.failed();
    this.#broken?.();
  }

  /** An item failed by no fault of its own. */
  failed(): void {
    this.#breaker.failed(performance.now());
    this.#tellOfRoom();
  }

  /** An item was answered. */
  succeeded(): void {
    const isTrial = this.room === 1;
    this.#breaker.succeeded();
    if (isTrial) this.#options.onChange();
  }

  /** A call failed in a way that repeating does not mend. */
  refuse(error: TandemError): void {
    this.#set("refused", error);
  }

  close(): void {
    this.#set("closed", undefined);
    clearTimeout(this.#timer);
    this.#abort.abort();
    this.#broken?.();
    this.#channel.teacher.close();
  }

  /** Until closed: connects, watches, and comes back with growing pauses. */
  async #follow(): Promise<void> {
    const { random, onEvent } = this.#options.teacher;
    const backoff = new Backoff({ timeoutMs: Infinity, random });
    for (;;) {
      const error = await this.#watch(backoff).catch((caught: unknown) => TandemError.from(caught));
      if (this.#abort.signal.aborted) return;
      const delayMs = backoff.next() ?? 0;
      this.#set("connecting", error);
      onEvent?.({ kind: "retry", address: this.address, delayMs, error });
      await pause(delayMs, this.#abort.signal).catch(() => undefined);
    }
  }

  /** Follows one health stream to its end. */
  async #watch(backoff: Backoff): Promise<TandemError> {
    const call = this.#channel.health.watch({ service: HEALTH_SERVICE });
    const cancel = () => call.cancel();
    this.#abort.signal.addEventListener("abort", cancel);
    try {
      for await (const { status } of call as AsyncIterable<{ readonly status: string }>) {
        if (status === "SERVING") {
          await this.#greet();
          backoff.reset();
        } else this.#set("not-serving", this.#unavailable("does not serve now"));
      }
      return this.#unavailable("ended the connection");
    } catch (caught) {
      if (caught instanceof TandemError) throw caught;
      const error = fromServiceError(caught as ServiceError, this.address);
      if (!NO_HEALTH.has(error.code)) throw error;
    } finally {
      this.#abort.signal.removeEventListener("abort", cancel);
      call.cancel();
    }
    // It does not tell: taken for healthy until a call fails.
    await this.#greet();
    backoff.reset();
    await new Promise<void>((resolve) => (this.#broken = resolve));
    this.#broken = undefined;
    return this.#unavailable("did not answer");
  }

  /** Asks who it is. */
  async #greet(): Promise<void> {
    const { admit, teacher } = this.#options;
    try {
      const description = await this.#describe();
      admit(description, this.address);
      if (this.#state === "serving") return;
      teacher.onEvent?.({ kind: "connected", address: this.address, model: description.model });
      this.#set("serving", undefined);
    } catch (caught) {
      const error = TandemError.from(caught);
      if (isConnectionFailure(error)) throw error;
      this.#set("refused", error);
      teacher.onEvent?.({ kind: "refused", address: this.address, error });
    }
  }

  #describe(): Promise<TeacherDescription> {
    const deadline = Date.now() + this.#options.teacher.callTimeoutMs;
    return new Promise((resolve, reject) => {
      this.client.Describe({}, { deadline }, (error, response) => {
        if (error !== null) reject(fromServiceError(error, this.address));
        else if (response === undefined) reject(this.#unavailable("gave an empty answer"));
        else resolve(response);
      });
    });
  }

  /** Tells when the breaker lets something through again; timers may fire a little early. */
  #tellOfRoom(): void {
    clearTimeout(this.#timer);
    const delayMs = Math.ceil(this.#breaker.retryAtMs - performance.now());
    if (delayMs > 0) this.#timer = setTimeout(() => this.#tellOfRoom(), delayMs);
    else this.#options.onChange();
  }

  #set(state: ReplicaState, error: TandemError | undefined): void {
    if (this.#state === "closed") return;
    this.#state = state;
    this.#error = error;
    this.#options.onChange();
  }

  #unavailable(what: string): TandemError {
    return new TandemError("UNAVAILABLE", `teacher ${this.address} ${what}`);
  }
}
