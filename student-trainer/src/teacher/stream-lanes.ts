import { performance } from "node:perf_hooks";

import type { CallOptions, ClientDuplexStream, ServiceError } from "@grpc/grpc-js";
import type { TeacherClient as GrpcTeacherClient } from "@tandem/proto/gen/tandem/v1/Teacher.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";

import type { Replica } from "./replica.js";
import type { ReplicaPool } from "./replica-pool.js";
import { fromServiceError, isConnectionFailure } from "./rpc-error.js";
import type { TeacherOptions } from "./teacher-options.js";

/** Beyond an item's own time limit, before a stream that says nothing is taken for dead. */
const SILENCE_GRACE_MS = 5_000;
const TICK_MS = 1_000;

/** A replica's stream as its user sees it. */
export interface Lane<Request> {
  readonly replica: Replica;
  /** Items with the replica; its user counts them. */
  load: number;
  send(request: Request): void;
}

export interface LaneHandlers<Request, Response> {
  readonly onMessage: (message: Response, lane: Lane<Request>) => void;
  /** The stream is gone and what was sent on it is void. `onUsable` follows. */
  readonly onLost: (lane: Lane<Request>) => void;
  /** A replica may have room: place what waits. */
  readonly onUsable: () => void;
  /** No replica answered for `retryTimeoutMs`, or none ever will: settle everything. */
  readonly onGiveUp: (error: TandemError) => void;
  /** When the oldest unanswered item of the lane was sent (performance.now()). */
  readonly pendingSince: (lane: Lane<Request>) => number | undefined;
  /** Is anything unanswered, sent or not? */
  readonly isPending: () => boolean;
}

export interface StreamLanesOptions<Request, Response> {
  readonly pool: ReplicaPool;
  readonly teacher: TeacherOptions;
  readonly call: (
    client: GrpcTeacherClient,
    options: CallOptions,
  ) => ClientDuplexStream<Request, Response>;
  readonly handlers: LaneHandlers<Request, Response>;
}

interface OpenLane<Request, Response> extends Lane<Request> {
  readonly call: ClientDuplexStream<Request, Response>;
}

/** One bidirectional stream to every replica that is needed: opened when first chosen, forgotten when lost, chosen by load and health. */
export class StreamLanes<Request, Response> {
  readonly #options: StreamLanesOptions<Request, Response>;
  readonly #lanes = new Map<Replica, OpenLane<Request, Response>>();
  readonly #unsubscribe: () => void;
  readonly #ticker: NodeJS.Timeout;
  /** Since when nothing was answered although something failed or no replica serves. */
  #failingSince: number | undefined;
  #isClosed = false;

  constructor(options: StreamLanesOptions<Request, Response>) {
    this.#options = options;
    this.#unsubscribe = options.pool.onChange(() => this.#poolChanged());
    this.#ticker = setInterval(() => this.#tick(), TICK_MS).unref();
  }

  /** The stream of the replica with the fewest items, if possible not of `avoid`; undefined while none has room: `onUsable` will tell. */
  choose(avoid?: Replica): Lane<Request> | undefined {
    const loadOf = (replica: Replica) => this.#lanes.get(replica)?.load ?? 0;
    const rankOf = (replica: Replica) => (replica === avoid ? Infinity : loadOf(replica));
    const [best] = this.#options.pool.replicas
      .filter((replica) => this.#hasRoom(replica))
      .sort((a, b) => (rankOf(a) === rankOf(b) ? 0 : rankOf(a) - rankOf(b)));
    if (best === undefined) {
      this.#failingSince ??= performance.now();
      return undefined;
    }
    return this.#lanes.get(best) ?? this.#open(best);
  }

  #hasRoom(replica: Replica): boolean {
    const { room } = replica;
    if (room === 0 || room === Infinity) return room > 0;
    const lane = this.#lanes.get(replica);
    return lane === undefined || this.#options.handlers.pendingSince(lane) === undefined;
  }

  /** Does its replica take new items? */
  accepts(lane: Lane<Request>): boolean {
    return this.#lanes.get(lane.replica) === lane && lane.replica.state === "serving";
  }

  /** Ends all streams. Pending items are the owner's to settle. */
  close(): void {
    this.#isClosed = true;
    this.#unsubscribe();
    clearInterval(this.#ticker);
    const lanes = [...this.#lanes.values()];
    this.#lanes.clear();
    for (const { call } of lanes) call.cancel();
  }

  #open(replica: Replica): Lane<Request> {
    const { teacher, call: start, handlers } = this.#options;
    const call = start(replica.client, { deadline: Date.now() + teacher.streamTimeoutMs });
    const lane: OpenLane<Request, Response> = {
      replica,
      call,
      load: 0,
      send: (request) => {
        if (this.#lanes.get(replica) === lane) call.write(request);
      },
    };
    this.#lanes.set(replica, lane);
    call.on("data", (message: Response) => {
      if (this.#lanes.get(replica) !== lane) return;
      this.#failingSince = undefined;
      handlers.onMessage(message, lane);
    });
    call.on("error", (error: ServiceError) =>
      this.#lost(lane, fromServiceError(error, replica.address)),
    );
    call.on("end", () => {
      const error = `teacher ${replica.address} ended the stream`;
      this.#lost(lane, new TandemError("UNAVAILABLE", error));
    });
    return lane;
  }

  #lost(lane: OpenLane<Request, Response>, error: TandemError): void {
    const { replica } = lane;
    if (this.#lanes.get(replica) !== lane) return;
    this.#lanes.delete(replica);
    lane.call.cancel();
    const { handlers } = this.#options;
    this.#failingSince ??= performance.now();
    handlers.onLost(lane);
    if (!isConnectionFailure(error)) replica.refuse(error);
    // A replica that says goodbye, or was left, has not failed.
    else if (replica.state === "serving") replica.lost();
    this.#checkLoss();
    handlers.onUsable();
  }

  #poolChanged(): void {
    if (this.#isClosed) return;
    for (const lane of this.#lanes.values()) {
      const { state, error, address } = lane.replica;
      // Whoever answers at this address next is checked before it is asked anything.
      if (state === "serving" || state === "not-serving") continue;
      this.#lost(lane, error ?? new TandemError("UNAVAILABLE", `teacher ${address} was left`));
    }
    const { pool, handlers } = this.#options;
    const { refusal } = pool;
    if (refusal !== undefined && handlers.isPending()) handlers.onGiveUp(refusal);
    else handlers.onUsable();
  }

  #tick(): void {
    const { handlers, teacher } = this.#options;
    const limit = teacher.itemTimeoutMs + SILENCE_GRACE_MS;
    for (const lane of this.#lanes.values()) {
      const since = handlers.pendingSince(lane);
      if (since === undefined || performance.now() - since < limit) continue;
      const { address } = lane.replica;
      this.#lost(
        lane,
        new TandemError("DEADLINE_EXCEEDED", `teacher ${address} did not answer for ${limit} ms`),
      );
    }
    this.#checkLoss();
  }

  /** While a replica computes, its silence is judged by the item's own limit. */
  #checkLoss(): void {
    const { pool, teacher, handlers } = this.#options;
    const { retryTimeoutMs } = teacher;
    if (!handlers.isPending()) this.#failingSince = undefined;
    const since = this.#failingSince;
    const isAsked = [...this.#lanes.values()].some(
      (lane) => handlers.pendingSince(lane) !== undefined,
    );
    if (since === undefined || isAsked || performance.now() - since < retryTimeoutMs) return;
    this.#failingSince = undefined;
    handlers.onGiveUp(pool.lossOf(retryTimeoutMs));
  }
}
