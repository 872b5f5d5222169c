// Original file: proto/tandem/v1/error.proto

/**
 * What went wrong, for one item of a stream or (as a detail of the gRPC status) for a whole call.
 * Retryable: DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAVAILABLE. Everything else fails again the same way.
 */
export const ErrorCode = {
  ERROR_CODE_UNSPECIFIED: 'ERROR_CODE_UNSPECIFIED',
  /**
   * The item was cancelled by its sender, or its stream ended.
   */
  ERROR_CODE_CANCELLED: 'ERROR_CODE_CANCELLED',
  /**
   * A value is wrong whatever the state: token id >= vocabulary size, empty prompt, top_k above the limit.
   */
  ERROR_CODE_INVALID_ARGUMENT: 'ERROR_CODE_INVALID_ARGUMENT',
  /**
   * The item's own timeout_ms, or the call's gRPC deadline, passed.
   */
  ERROR_CODE_DEADLINE_EXCEEDED: 'ERROR_CODE_DEADLINE_EXCEEDED',
  /**
   * Unknown sequence, layer or model.
   */
  ERROR_CODE_NOT_FOUND: 'ERROR_CODE_NOT_FOUND',
  /**
   * The sequence or item id is in use on this stream.
   */
  ERROR_CODE_ALREADY_EXISTS: 'ERROR_CODE_ALREADY_EXISTS',
  ERROR_CODE_PERMISSION_DENIED: 'ERROR_CODE_PERMISSION_DENIED',
  /**
   * A limit of memory, queue or sessions is reached. `retry_delay_ms` says when to try again.
   */
  ERROR_CODE_RESOURCE_EXHAUSTED: 'ERROR_CODE_RESOURCE_EXHAUSTED',
  /**
   * The two sides do not fit: tokenizer fingerprint, message out of order.
   */
  ERROR_CODE_FAILED_PRECONDITION: 'ERROR_CODE_FAILED_PRECONDITION',
  /**
   * Longer than the context of the model.
   */
  ERROR_CODE_OUT_OF_RANGE: 'ERROR_CODE_OUT_OF_RANGE',
  /**
   * This server cannot give that signal part.
   */
  ERROR_CODE_UNIMPLEMENTED: 'ERROR_CODE_UNIMPLEMENTED',
  /**
   * A bug of the server. The details are in its log only.
   */
  ERROR_CODE_INTERNAL: 'ERROR_CODE_INTERNAL',
  /**
   * Loading, draining, or the engine restarts. Send the item again, here or to another replica.
   */
  ERROR_CODE_UNAVAILABLE: 'ERROR_CODE_UNAVAILABLE',
  /**
   * Bytes are damaged: a length that fits no array, a failed checksum.
   */
  ERROR_CODE_DATA_LOSS: 'ERROR_CODE_DATA_LOSS',
  ERROR_CODE_UNAUTHENTICATED: 'ERROR_CODE_UNAUTHENTICATED',
} as const;

/**
 * What went wrong, for one item of a stream or (as a detail of the gRPC status) for a whole call.
 * Retryable: DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAVAILABLE. Everything else fails again the same way.
 */
export type ErrorCode =
  | 'ERROR_CODE_UNSPECIFIED'
  | 0
  /**
   * The item was cancelled by its sender, or its stream ended.
   */
  | 'ERROR_CODE_CANCELLED'
  | 1
  /**
   * A value is wrong whatever the state: token id >= vocabulary size, empty prompt, top_k above the limit.
   */
  | 'ERROR_CODE_INVALID_ARGUMENT'
  | 3
  /**
   * The item's own timeout_ms, or the call's gRPC deadline, passed.
   */
  | 'ERROR_CODE_DEADLINE_EXCEEDED'
  | 4
  /**
   * Unknown sequence, layer or model.
   */
  | 'ERROR_CODE_NOT_FOUND'
  | 5
  /**
   * The sequence or item id is in use on this stream.
   */
  | 'ERROR_CODE_ALREADY_EXISTS'
  | 6
  | 'ERROR_CODE_PERMISSION_DENIED'
  | 7
  /**
   * A limit of memory, queue or sessions is reached. `retry_delay_ms` says when to try again.
   */
  | 'ERROR_CODE_RESOURCE_EXHAUSTED'
  | 8
  /**
   * The two sides do not fit: tokenizer fingerprint, message out of order.
   */
  | 'ERROR_CODE_FAILED_PRECONDITION'
  | 9
  /**
   * Longer than the context of the model.
   */
  | 'ERROR_CODE_OUT_OF_RANGE'
  | 11
  /**
   * This server cannot give that signal part.
   */
  | 'ERROR_CODE_UNIMPLEMENTED'
  | 12
  /**
   * A bug of the server. The details are in its log only.
   */
  | 'ERROR_CODE_INTERNAL'
  | 13
  /**
   * Loading, draining, or the engine restarts. Send the item again, here or to another replica.
   */
  | 'ERROR_CODE_UNAVAILABLE'
  | 14
  /**
   * Bytes are damaged: a length that fits no array, a failed checksum.
   */
  | 'ERROR_CODE_DATA_LOSS'
  | 15
  | 'ERROR_CODE_UNAUTHENTICATED'
  | 16

/**
 * What went wrong, for one item of a stream or (as a detail of the gRPC status) for a whole call.
 * Retryable: DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAVAILABLE. Everything else fails again the same way.
 */
export type ErrorCode__Output = typeof ErrorCode[keyof typeof ErrorCode]
