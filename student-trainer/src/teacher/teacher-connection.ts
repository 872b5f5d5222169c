import type { ChannelOptions, ServiceError } from "@grpc/grpc-js";
import type { DescribeResponse__Output } from "@tandem/proto/gen/tandem/v1/DescribeResponse.js";
import type { TeacherClient as GrpcTeacherClient } from "@tandem/proto/gen/tandem/v1/Teacher.js";
import { loadTeacherProto } from "@tandem/proto/load-teacher-proto.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";

import { fromServiceError } from "./rpc-error.js";
import type { TeacherOptions } from "./teacher-options.js";
import { createChannelSecurity } from "./teacher-security.js";

/** What the teacher said it is. */
export type TeacherDescription = DescribeResponse__Output;

const CHANNEL_OPTIONS: ChannelOptions = {
  "grpc.keepalive_time_ms": 20_000,
  "grpc.keepalive_timeout_ms": 10_000,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1_000,
  // A channel of our own: a subchannel shared with another client would bring its backoff along.
  "grpc.use_local_subchannel_pool": 1,
  "grpc.enable_http_proxy": 0,
  "grpc.max_receive_message_length": 64 * 2 ** 20,
  // HTTP/2's default of 64 KiB would stop a stream of signals at every frame.
  "grpc-node.flow_control_window": 8 * 2 ** 20,
};

const { Teacher } = loadTeacherProto();

/** The channels to all replicas, one of them current. Knows which teacher it spoke to first and refuses another one. */
export class TeacherConnection {
  readonly #options: TeacherOptions;
  readonly #clients: readonly GrpcTeacherClient[];
  #current = 0;
  #identity: TeacherDescription | undefined;

  constructor(options: TeacherOptions) {
    if (options.addresses.length === 0) {
      throw new TandemError("INVALID_ARGUMENT", "no teacher address given; set teacher.address", {
        field: "teacher.address",
      });
    }
    this.#options = options;
    const security = createChannelSecurity(options, options.addresses);
    const channel = { ...CHANNEL_OPTIONS, ...security.options };
    this.#clients = options.addresses.map(
      (address) => new Teacher(address, security.credentials, channel),
    );
  }

  get client(): GrpcTeacherClient {
    return this.#clients[this.#current] as GrpcTeacherClient;
  }

  get address(): string {
    return this.#options.addresses[this.#current] as string;
  }

  /** Makes the next replica current. */
  rotate(): void {
    this.#current = (this.#current + 1) % this.#clients.length;
  }

  /** Asks the current replica what it is.
   * @throws TandemError of the call; FAILED_PRECONDITION when it is not the teacher of the first answer. */
  async describe(): Promise<TeacherDescription> {
    const address = this.address;
    const deadline = Date.now() + this.#options.callTimeoutMs;
    const answer = await new Promise<TeacherDescription>((resolve, reject) => {
      const done = (error: ServiceError | null, response?: TeacherDescription) => {
        if (response === undefined) {
          reject(
            error === null
              ? new TandemError("INTERNAL", `teacher ${address}: empty answer`)
              : fromServiceError(error, address),
          );
        } else resolve(response);
      };
      this.client.Describe({}, { deadline }, done);
    });
    const known = this.#identity;
    if (known === undefined) {
      this.#identity = answer;
      this.#options.onEvent?.({ kind: "connected", address, model: answer.model });
    } else if (known.weightsDigest !== answer.weightsDigest) {
      throw new TandemError(
        "FAILED_PRECONDITION",
        `teacher ${address} now serves ${answer.model} (${answer.weightsDigest}), the run began with ${known.model} (${known.weightsDigest}); start that one again`,
        { field: "teacher.address" },
      );
    } else if (known.numericsId !== answer.numericsId) {
      this.#identity = answer;
      const { numericsId } = answer;
      this.#options.onEvent?.({ kind: "numerics-changed", address, numericsId });
    }
    return answer;
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }
}
