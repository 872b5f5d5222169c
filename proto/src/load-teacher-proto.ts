import { fileURLToPath } from "node:url";
import { loadPackageDefinition } from "@grpc/grpc-js";
import { loadSync, type PackageDefinition } from "@grpc/proto-loader";
import type { ProtoGrpcType } from "./gen/teacher.js";

/** The folder of the `.proto` files, for people who want to hand them on. */
export const PROTO_DIR = fileURLToPath(new URL("..", import.meta.url));

/** Loads the contract at run time. The options are those with which `src/gen` was generated; the contract has no 64-bit field. */
export function loadTeacherPackageDefinition(): PackageDefinition {
  return loadSync("tandem/v1/teacher.proto", {
    includeDirs: [PROTO_DIR],
    keepCase: false,
    longs: Number,
    enums: String,
    defaults: true,
    oneofs: true,
  });
}

/** Client constructor and service definition of `tandem.v1`. */
export function loadTeacherProto(): ProtoGrpcType["tandem"]["v1"] {
  const grpcObject = loadPackageDefinition(loadTeacherPackageDefinition());
  return (grpcObject as unknown as ProtoGrpcType).tandem.v1;
}
