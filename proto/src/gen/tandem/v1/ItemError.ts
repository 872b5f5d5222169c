// Original file: proto/tandem/v1/error.proto

import type { ErrorCode as _tandem_v1_ErrorCode, ErrorCode__Output as _tandem_v1_ErrorCode__Output } from '../../tandem/v1/ErrorCode.js';

/**
 * A failed item. A stream goes on after it: a gRPC status ends a stream only for faults of the stream itself.
 * As trailer of a failed call the same message travels in the metadata key `tandem-error-bin`.
 */
export interface ItemError {
  /**
   * The id of the item: `ScoreItem.id`, `Open.sequence`, `Draft.sequence`. 0 when no item can be named.
   */
  'id'?: (number);
  'code'?: (_tandem_v1_ErrorCode);
  /**
   * For people: what was given, what is allowed, what to do.
   */
  'reason'?: (string);
  /**
   * The field that is wrong, as a path in the request: `signal.top_k`. Empty when none.
   */
  'field'?: (string);
  /**
   * The limit that was exceeded, in the field's unit. Absent when none.
   */
  'limit'?: (number | string);
  /**
   * Milliseconds after which a retry makes sense. Absent: do not retry unchanged, or retry at once (UNAVAILABLE).
   */
  'retryDelayMs'?: (number);
  /**
   * The draft's `start` when the failed item is a draft.
   */
  'start'?: (number);
  '_limit'?: "limit";
  '_retryDelayMs'?: "retryDelayMs";
  '_start'?: "start";
}

/**
 * A failed item. A stream goes on after it: a gRPC status ends a stream only for faults of the stream itself.
 * As trailer of a failed call the same message travels in the metadata key `tandem-error-bin`.
 */
export interface ItemError__Output {
  /**
   * The id of the item: `ScoreItem.id`, `Open.sequence`, `Draft.sequence`. 0 when no item can be named.
   */
  'id': (number);
  'code': (_tandem_v1_ErrorCode__Output);
  /**
   * For people: what was given, what is allowed, what to do.
   */
  'reason': (string);
  /**
   * The field that is wrong, as a path in the request: `signal.top_k`. Empty when none.
   */
  'field': (string);
  /**
   * The limit that was exceeded, in the field's unit. Absent when none.
   */
  'limit'?: (number);
  /**
   * Milliseconds after which a retry makes sense. Absent: do not retry unchanged, or retry at once (UNAVAILABLE).
   */
  'retryDelayMs'?: (number);
  /**
   * The draft's `start` when the failed item is a draft.
   */
  'start'?: (number);
  '_limit'?: "limit";
  '_retryDelayMs'?: "retryDelayMs";
  '_start'?: "start";
}
