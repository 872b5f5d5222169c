import type { ChannelOptions, Client, ClientOptions, ClientReadableStream } from "@grpc/grpc-js";
import type { TeacherClient as GrpcTeacherClient } from "@tandem/proto/gen/tandem/v1/Teacher.js";
import { loadHealthClient, type HealthCheckResponse } from "@tandem/proto/load-health-proto.js";
import { loadTeacherProto } from "@tandem/proto/load-teacher-proto.js";

import type { ChannelSecurity } from "./teacher-security.js";

const CHANNEL_OPTIONS: ChannelOptions = {
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
const Health = loadHealthClient();

export interface HealthClient extends Client {
  watch(request: { readonly service: string }): ClientReadableStream<HealthCheckResponse>;
}

/** One connection with the two services that travel on it. */
export interface TeacherChannel {
  readonly teacher: GrpcTeacherClient;
  readonly health: HealthClient;
}

export interface ChannelOrder {
  readonly address: string;
  /** The name the server is known by where the address is one of several behind a name. */
  readonly name?: string;
  readonly security: ChannelSecurity;
  readonly keepaliveMs: number;
}

/** Connects on first use. */
export function openChannel({
  address,
  name,
  security,
  keepaliveMs,
}: ChannelOrder): TeacherChannel {
  const options: ClientOptions = {
    ...CHANNEL_OPTIONS,
    "grpc.keepalive_time_ms": keepaliveMs,
    "grpc.keepalive_timeout_ms": Math.ceil(keepaliveMs / 2),
    ...(name !== undefined && {
      "grpc.default_authority": name,
      "grpc.ssl_target_name_override": name,
    }),
    ...security.options,
  };
  const teacher = new Teacher(address, security.credentials, options);
  const health = new Health(address, security.credentials, {
    interceptors: security.options.interceptors ?? [],
    channelOverride: teacher.getChannel(),
  });
  return { teacher, health: health as unknown as HealthClient };
}
