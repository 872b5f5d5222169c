import { ERROR_CODES } from "@tandem/shared/errors/error-code.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { Finish } from "@tandem/shared/sampling/stops.js";
import type { ErrorCode__Output } from "@tandem/proto/gen/tandem/v1/ErrorCode.js";
import type { Finish__Output } from "@tandem/proto/gen/tandem/v1/Finish.js";
import type { ItemError } from "@tandem/proto/gen/tandem/v1/ItemError.js";
import type { Usage } from "@tandem/proto/gen/tandem/v1/Usage.js";
import type { JobUsage } from "../scheduler/job.js";

const FINISH = {
  none: "FINISH_UNSPECIFIED",
  stop: "FINISH_STOP",
  length: "FINISH_LENGTH",
} as const satisfies Record<Finish, Finish__Output>;

export function toWireFinish(finish: Finish): Finish__Output {
  return FINISH[finish];
}

export function toWireUsage(usage: JobUsage): Usage {
  return {
    computedPositions: usage.computedPositions,
    prefillPositions: usage.prefillPositions,
    reusedPositions: usage.reusedPositions,
    savedPositions: usage.savedPositions,
    queueMs: usage.queueMs,
    computeMs: usage.computeMs,
  };
}

/** An error as the contract's message. What is no fault of the client's keeps its detail in the log.
 * id 0 names no item. */
export function toItemError(error: TandemError, id: number, start?: number): ItemError {
  const shown = maskInternal(error);
  return {
    id,
    code: `ERROR_CODE_${shown.code}` satisfies ErrorCode__Output,
    reason: shown.message,
    field: shown.field ?? "",
    ...(shown.limit !== undefined && { limit: shown.limit }),
    ...(shown.retryDelayMs !== undefined && { retryDelayMs: shown.retryDelayMs }),
    ...(start !== undefined && { start }),
  };
}

/** A bug of ours leaves the process without its details. */
export function maskInternal(error: TandemError): TandemError {
  if (error.code !== "INTERNAL") return error;
  return new TandemError("INTERNAL", "an internal error of the server; its log has the details", {
    cause: error,
  });
}

export function grpcStatusOf(error: TandemError): number {
  return ERROR_CODES[error.code].grpcStatus;
}

/** u32 little-endian bytes. Node runs on little-endian machines only. */
export function toBytes(values: Uint32Array): Buffer {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength);
}
