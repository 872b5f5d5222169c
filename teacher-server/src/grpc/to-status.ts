import { Metadata, type StatusObject } from "@grpc/grpc-js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { encodeItemError } from "./item-error-codec.js";
import { grpcStatusOf, maskInternal, toItemError } from "../calls/to-wire.js";

/** The trailer in which a failed call carries its ItemError. */
export const ERROR_TRAILER = "tandem-error-bin";

/** An error as the status of a call, with field, limit and retry delay in the trailer. */
export function toStatus(
  caught: unknown,
): Pick<StatusObject, "code" | "details" | "metadata"> & Error {
  const error = maskInternal(TandemError.from(caught));
  const metadata = new Metadata();
  metadata.set(ERROR_TRAILER, encodeItemError(toItemError(error, 0)));
  return Object.assign(new Error(error.message), {
    code: grpcStatusOf(error),
    details: error.message,
    metadata,
  });
}
