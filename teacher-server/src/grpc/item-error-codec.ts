import type { MessageTypeDefinition } from "@grpc/proto-loader";
import { invariant } from "@tandem/shared/errors/invariant.js";
import { loadTeacherPackageDefinition } from "@tandem/proto/load-teacher-proto.js";
import type { ItemError } from "@tandem/proto/gen/tandem/v1/ItemError.js";

let serialize: ((error: object) => Buffer) | undefined;

/** The contract's ItemError as bytes, for the trailer of a failed call. */
export function encodeItemError(error: ItemError): Buffer {
  serialize ??= findSerializer();
  return serialize(error);
}

function findSerializer(): (error: object) => Buffer {
  const definition = loadTeacherPackageDefinition()["tandem.v1.ItemError"];
  invariant(
    definition !== undefined && "fileDescriptorProtos" in definition,
    "the contract defines ItemError",
  );
  return (definition as MessageTypeDefinition<object, object>).serialize;
}
