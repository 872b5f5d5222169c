import { Server, type ServerCredentials, type ServerInterceptor } from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";
import { HealthImplementation } from "grpc-health-check";
import {
  loadTeacherPackageDefinition,
  loadTeacherProto,
} from "@tandem/proto/load-teacher-proto.js";
import type { TeacherHandlers } from "@tandem/proto/gen/tandem/v1/Teacher.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { measuredService } from "./measured-service.js";

/** The services whose health is told apart: the whole server, and the teacher. */
const HEALTH_SERVICES = ["", "tandem.v1.Teacher"] as const;

/** Statuses of ended calls reach their clients within this time, or not at all. */
const FLUSH_MS = 250;

export interface GrpcServerOptions {
  readonly handlers: TeacherHandlers;
  readonly maxMessageBytes: number;
  readonly reflection: boolean;
  readonly credentials: ServerCredentials;
  /** What every call passes, the first one next to the connection. */
  readonly interceptors: readonly ServerInterceptor[];
  /** Silence after which a connection is probed; it has half of that to answer. */
  readonly keepaliveMs: number;
  /** Items of one message at most. */
  readonly maxEntries: number;
}

/** The gRPC listener with health service and reflection. */
export class GrpcServer {
  readonly #server: Server;
  readonly #credentials: ServerCredentials;
  readonly #health = new HealthImplementation(
    Object.fromEntries(HEALTH_SERVICES.map((service) => [service, "NOT_SERVING"])),
  );
  #port = 0;
  #serving = false;

  constructor(options: GrpcServerOptions) {
    this.#server = new Server({
      // Off by default in grpc-js; without it a peer that vanished silently is never found.
      "grpc.keepalive_time_ms": options.keepaliveMs,
      "grpc.keepalive_timeout_ms": Math.ceil(options.keepaliveMs / 2),
      "grpc.max_receive_message_length": options.maxMessageBytes,
      interceptors: [...options.interceptors],
    });
    this.#credentials = options.credentials;
    const { maxEntries } = options;
    this.#server.addService(
      measuredService(loadTeacherProto().Teacher.service, { maxEntries }),
      options.handlers,
    );
    this.#health.addToServer(this.#server);
    if (options.reflection)
      new ReflectionService(loadTeacherPackageDefinition()).addToServer(this.#server);
  }

  get port(): number {
    return this.#port;
  }

  /** port 0 = any free one.
   * @throws TandemError UNAVAILABLE when the address cannot be bound. */
  async listen(host: string, port: number): Promise<void> {
    this.#port = await new Promise<number>((resolve, reject) => {
      const address = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
      this.#server.bindAsync(address, this.#credentials, (error, bound) => {
        if (error === null) resolve(bound);
        else
          reject(
            new TandemError("UNAVAILABLE", `cannot listen on ${address}: ${error.message}`, {
              cause: error,
              field: "port",
            }),
          );
      });
    });
  }

  setServing(serving: boolean): void {
    if (serving === this.#serving) return;
    this.#serving = serving;
    const status = serving ? "SERVING" : "NOT_SERVING";
    for (const service of HEALTH_SERVICES) this.#health.setStatus(service, status);
  }

  /** Ends the connections once what was written has gone out; streams that are left then (health watchers) are cut off. */
  async close(): Promise<void> {
    const flushed = new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    const timer = new Promise<void>((resolve) => setTimeout(resolve, FLUSH_MS).unref());
    await Promise.race([flushed, timer]);
    this.#server.forceShutdown();
  }
}
