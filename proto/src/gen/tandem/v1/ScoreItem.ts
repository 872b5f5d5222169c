// Original file: proto/tandem/v1/teacher.proto

import type { SignalSpec as _tandem_v1_SignalSpec, SignalSpec__Output as _tandem_v1_SignalSpec__Output } from '../../tandem/v1/SignalSpec.js';
import type { Priority as _tandem_v1_Priority, Priority__Output as _tandem_v1_Priority__Output } from '../../tandem/v1/Priority.js';

export interface ScoreItem {
  /**
   * Chosen by the client, unique among the items in flight on the stream.
   */
  'id'?: (number);
  /**
   * u32 [T]: the whole sequence, T >= 1.
   */
  'tokens'?: (Buffer | Uint8Array | string);
  /**
   * First row wanted, 1 <= from <= T. Rows from .. T-1 are answered, and row T too (the law behind the last token) if `next` is set; its
   * token_logit and rank are those of the teacher's best token, since the sequence has none there.
   */
  'from'?: (number);
  'next'?: (boolean);
  'signal'?: (_tandem_v1_SignalSpec | null);
  /**
   * Rows' temperatures: f32 [n,J], J the same for all rows; empty = `signal.taus`.
   */
  'taus'?: (Buffer | Uint8Array | string);
  /**
   * Ids whose logits are wanted, ragged by row: u32 [n+1] offsets (first 0, rising) and u32 ids. Empty = none. n = T - from (+1 with `next`).
   */
  'atOffsets'?: (Buffer | Uint8Array | string);
  'atIds'?: (Buffer | Uint8Array | string);
  /**
   * For `draws`: key of the random numbers. Row i uses response position i - from.
   */
  'runSeed'?: (number);
  'rngKey'?: (number);
  /**
   * Milliseconds from arrival after which the item is not worth computing; 0 = no limit but the call's deadline.
   */
  'timeoutMs'?: (number);
  'priority'?: (_tandem_v1_Priority);
}

export interface ScoreItem__Output {
  /**
   * Chosen by the client, unique among the items in flight on the stream.
   */
  'id': (number);
  /**
   * u32 [T]: the whole sequence, T >= 1.
   */
  'tokens': (Buffer);
  /**
   * First row wanted, 1 <= from <= T. Rows from .. T-1 are answered, and row T too (the law behind the last token) if `next` is set; its
   * token_logit and rank are those of the teacher's best token, since the sequence has none there.
   */
  'from': (number);
  'next': (boolean);
  'signal': (_tandem_v1_SignalSpec__Output | null);
  /**
   * Rows' temperatures: f32 [n,J], J the same for all rows; empty = `signal.taus`.
   */
  'taus': (Buffer);
  /**
   * Ids whose logits are wanted, ragged by row: u32 [n+1] offsets (first 0, rising) and u32 ids. Empty = none. n = T - from (+1 with `next`).
   */
  'atOffsets': (Buffer);
  'atIds': (Buffer);
  /**
   * For `draws`: key of the random numbers. Row i uses response position i - from.
   */
  'runSeed': (number);
  'rngKey': (number);
  /**
   * Milliseconds from arrival after which the item is not worth computing; 0 = no limit but the call's deadline.
   */
  'timeoutMs': (number);
  'priority': (_tandem_v1_Priority__Output);
}
