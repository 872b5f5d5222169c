import {
  credentials,
  makeGenericClientConstructor,
  type Client,
  type ServiceError,
} from "@grpc/grpc-js";
import { service as healthService } from "grpc-health-check";

export interface HealthClient extends Client {
  check(
    request: { service: string },
    callback: (error: ServiceError | null, value?: { status: string }) => void,
  ): void;
  watch(request: { service: string }): NodeJS.ReadableStream & { cancel(): void };
}

/** A client of grpc.health.v1. */
export function healthClient(address: string): HealthClient {
  const Health = makeGenericClientConstructor(healthService as never, "Health");
  return new Health(address, credentials.createInsecure()) as unknown as HealthClient;
}

/** The status of a service, by name. */
export function check(client: HealthClient, service: string): Promise<string> {
  return new Promise((resolve, reject) =>
    client.check({ service }, (error, value) =>
      error === null ? resolve(value?.status ?? "") : reject(error),
    ),
  );
}
