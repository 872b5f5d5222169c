import { TandemError } from "@tandem/shared/errors/tandem-error.js";

import { Replica } from "./replica.js";
import {
  parseTeacherAddress,
  resolveHost,
  toSocketAddress,
  type TeacherAddress,
} from "./teacher-addresses.js";
import { assertSameTeacher, type TeacherDescription } from "./teacher-description.js";
import type { TeacherOptions } from "./teacher-options.js";
import { createChannelSecurity, type ChannelSecurity } from "./teacher-security.js";

/** How often names are looked up again. */
const RESOLVE_EVERY_MS = 5_000;

/** How long the first replica that answers waits for the others, so that servers that are not replicas of each other are found before the first step. */
const SETTLE_MS = 2_000;

const LONGEST_TIMER_MS = 2 ** 31 - 1;

type DnsAddress = Extract<TeacherAddress, { readonly kind: "dns" }>;

/** All servers of one teacher. The first that answers says who the teacher is; whoever differs from it is refused. */
export class ReplicaPool {
  readonly #options: TeacherOptions;
  readonly #security: ChannelSecurity;
  readonly #fixed: Replica[] = [];
  /** By name and socket address. */
  readonly #resolved = new Map<DnsAddress, Map<string, Replica>>();
  readonly #listeners = new Set<() => void>();
  readonly #resolver: NodeJS.Timeout | undefined;
  #identity: TeacherDescription | undefined;
  #isClosed = false;

  constructor(options: TeacherOptions) {
    if (options.addresses.length === 0) {
      throw new TandemError("INVALID_ARGUMENT", "no teacher address given; set teacher.address", {
        field: "teacher.address",
      });
    }
    this.#options = options;
    this.#security = createChannelSecurity(options, options.addresses);
    for (const address of options.addresses.map(parseTeacherAddress)) {
      if (address.kind === "fixed") this.#fixed.push(this.#open(address.address));
      else this.#resolved.set(address, new Map());
    }
    if (this.#resolved.size > 0) {
      this.#resolve();
      this.#resolver = setInterval(() => this.#resolve(), RESOLVE_EVERY_MS).unref();
    }
  }

  /** In the order of the configuration, names in the order of their addresses. */
  get replicas(): readonly Replica[] {
    return [
      ...this.#fixed,
      ...[...this.#resolved.values()].flatMap((found) => [...found.values()]),
    ];
  }

  /** Set when there are replicas and none of them is our teacher: waiting does not help. */
  get refusal(): TandemError | undefined {
    const { replicas } = this;
    return replicas.every(({ state }) => state === "refused") ? replicas[0]?.error : undefined;
  }

  /** That nobody answered for so long. */
  lossOf(timeoutMs: number): TandemError {
    const { addresses } = this.#options;
    return new TandemError(
      "UNAVAILABLE",
      `no answer from the teacher at ${addresses.join(", ")} for ${timeoutMs} ms (teacher.retryTimeoutMs); last: ${this.#lastError()}`,
      { field: "teacher.address" },
    );
  }

  /** Calls back after every change of a replica; the returned function ends it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Waits for a replica to answer.
   * @throws TandemError UNAVAILABLE after `retryTimeoutMs`; FAILED_PRECONDITION when replicas differ; what a server says that has no use for us; CANCELLED. */
  async connect(abort?: AbortSignal): Promise<TeacherDescription> {
    const { addresses, retryTimeoutMs } = this.#options;
    const isDecided = () => this.#identity !== undefined || this.refusal !== undefined;
    const inTime = await this.until(isDecided, retryTimeoutMs, abort);
    if (!inTime) {
      throw new TandemError(
        "UNAVAILABLE",
        `no teacher at ${addresses.join(", ")} within ${retryTimeoutMs} ms (teacher.retryTimeoutMs); is teacher-server running there? Last: ${this.#lastError()}`,
        { field: "teacher.address" },
      );
    }
    await this.until(() => this.replicas.every(({ isSettled }) => isSettled), SETTLE_MS, abort);
    const refused = this.replicas.find(({ state }) => state === "refused")?.error;
    if (refused !== undefined || this.#identity === undefined) {
      throw refused ?? new TandemError("INTERNAL", "a teacher was found and lost");
    }
    return this.#identity;
  }

  /** Waits for something that changes with a replica; false when the time is over.
   * @throws TandemError CANCELLED when aborted or closed. */
  async until(isTrue: () => boolean, timeoutMs: number, abort?: AbortSignal): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    let stop = (): void => undefined;
    let look = (): void => undefined;
    try {
      return await new Promise<boolean>((resolve, reject) => {
        stop = () =>
          reject(new TandemError("CANCELLED", "interrupted while waiting for the teacher"));
        look = () => {
          if (this.#isClosed) stop();
          else if (isTrue()) resolve(true);
        };
        timer = setTimeout(() => resolve(false), Math.min(timeoutMs, LONGEST_TIMER_MS));
        this.#listeners.add(look);
        abort?.addEventListener("abort", stop);
        if (abort?.aborted === true) stop();
        look();
      });
    } finally {
      clearTimeout(timer);
      this.#listeners.delete(look);
      abort?.removeEventListener("abort", stop);
    }
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#resolver);
    for (const replica of this.replicas) replica.close();
    this.#changed();
  }

  #open(address: string, name?: string): Replica {
    return new Replica({
      address,
      ...(name !== undefined && { name }),
      teacher: this.#options,
      security: this.#security,
      admit: (description, from) => {
        this.#identity ??= description;
        assertSameTeacher(this.#identity, description, from);
      },
      onChange: () => this.#changed(),
    });
  }

  #lastError(): string {
    return this.replicas.findLast(({ error }) => error !== undefined)?.error?.message ?? "silence";
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }

  #resolve(): void {
    for (const [name, known] of this.#resolved) {
      const { resolve = resolveHost, onEvent } = this.#options;
      resolve(name.host).then(
        (ips) => this.#take(name, known, ips),
        (cause: unknown) => {
          const error = new TandemError("UNAVAILABLE", `cannot resolve ${name.host}`, { cause });
          onEvent?.({ kind: "retry", address: name.host, delayMs: RESOLVE_EVERY_MS, error });
        },
      );
    }
  }

  /** New addresses are connected to; one that is gone from the name is left as soon as it stops serving. */
  #take(name: DnsAddress, known: Map<string, Replica>, ips: readonly string[]): void {
    if (this.#isClosed) return;
    const addresses = ips.map((ip) => toSocketAddress(ip, name.port));
    for (const [address, replica] of known) {
      if (addresses.includes(address) || replica.state === "serving") continue;
      known.delete(address);
      replica.close();
    }
    for (const address of addresses) {
      if (!known.has(address)) known.set(address, this.#open(address, name.host));
    }
  }
}
