import { loadPackageDefinition, type ServiceClientConstructor } from "@grpc/grpc-js";
import { fromJSON } from "@grpc/proto-loader";

/** `grpc.health.v1` as far as a client needs it. Source: grpc/health/v1/health.proto of the gRPC project. */
const HEALTH_DESCRIPTOR = {
  nested: {
    HealthCheckRequest: { fields: { service: { id: 1, type: "string" } } },
    HealthCheckResponse: {
      fields: { status: { id: 1, type: "ServingStatus" } },
      nested: {
        ServingStatus: {
          values: { UNKNOWN: 0, SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 },
        },
      },
    },
    Health: {
      methods: {
        Check: { requestType: "HealthCheckRequest", responseType: "HealthCheckResponse" },
        Watch: {
          requestType: "HealthCheckRequest",
          responseType: "HealthCheckResponse",
          responseStream: true,
        },
      },
    },
  },
};

export interface HealthCheckResponse {
  readonly status: "UNKNOWN" | "SERVING" | "NOT_SERVING" | "SERVICE_UNKNOWN";
}

/** Client constructor of `grpc.health.v1.Health`. */
export function loadHealthClient(): ServiceClientConstructor {
  const nested = { grpc: { nested: { health: { nested: { v1: HEALTH_DESCRIPTOR } } } } };
  // protobufjs takes a part of a descriptor's fields, its types want all of them.
  const root = { nested } as unknown as Parameters<typeof fromJSON>[0];
  const { grpc } = loadPackageDefinition(
    fromJSON(root, { enums: String, defaults: true }),
  ) as unknown as { grpc: { health: { v1: { Health: ServiceClientConstructor } } } };
  return grpc.health.v1.Health;
}
