import type { ServiceError } from "@grpc/grpc-js";
import type { ItemError__Output } from "@tandem/proto/gen/tandem/v1/ItemError.js";
import { ERROR_CODES, type ErrorCode } from "@tandem/shared/errors/error-code.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";

const CODE_BY_STATUS = new Map<number, ErrorCode>(
  (Object.keys(ERROR_CODES) as ErrorCode[]).map((code) => [ERROR_CODES[code].grpcStatus, code]),
);

/** What a broken connection looks like: killed peers show as UNAVAILABLE, INTERNAL (reset), CANCELLED or UNKNOWN; UNIMPLEMENTED and NOT_FOUND
 * come from proxies in front of a server that restarts, but also from a wrong address, so they are final. */
const CONNECTION_CODES: ReadonlySet<ErrorCode> = new Set([
  "UNAVAILABLE",
  "INTERNAL",
  "CANCELLED",
  "DEADLINE_EXCEEDED",
  "RESOURCE_EXHAUSTED",
]);

/** A failed call as our error; the address is named for people who run several teachers. */
export function fromServiceError(error: ServiceError, address: string): TandemError {
  const code = CODE_BY_STATUS.get(error.code) ?? "UNAVAILABLE";
  return new TandemError(code, `teacher ${address}: ${error.details || error.message}`, {
    cause: error,
  });
}

/** May the whole call be tried again? */
export function isConnectionFailure(error: TandemError): boolean {
  return CONNECTION_CODES.has(error.code);
}

/** A failed item of a stream as our error. */
export function fromItemError(item: ItemError__Output): TandemError {
  const name = item.code.replace(/^ERROR_CODE_/, "");
  const code = name in ERROR_CODES ? (name as ErrorCode) : "INTERNAL";
  return new TandemError(code, `teacher: ${item.reason || code}`, {
    ...(item.field === "" ? {} : { field: item.field }),
    ...(item.limit === undefined ? {} : { limit: item.limit }),
    ...(item.retryDelayMs === undefined ? {} : { retryDelayMs: item.retryDelayMs }),
  });
}
