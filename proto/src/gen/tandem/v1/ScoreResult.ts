// Original file: proto/tandem/v1/teacher.proto

import type { SignalFrame as _tandem_v1_SignalFrame, SignalFrame__Output as _tandem_v1_SignalFrame__Output } from '../../tandem/v1/SignalFrame.js';
import type { Usage as _tandem_v1_Usage, Usage__Output as _tandem_v1_Usage__Output } from '../../tandem/v1/Usage.js';

/**
 * A large result comes as several messages of the same id; rows are in order.
 */
export interface ScoreResult {
  'id'?: (number);
  'frames'?: (_tandem_v1_SignalFrame)[];
  /**
   * No more frames for this id.
   */
  'last'?: (boolean);
  /**
   * Set with `last`.
   */
  'usage'?: (_tandem_v1_Usage | null);
}

/**
 * A large result comes as several messages of the same id; rows are in order.
 */
export interface ScoreResult__Output {
  'id': (number);
  'frames': (_tandem_v1_SignalFrame__Output)[];
  /**
   * No more frames for this id.
   */
  'last': (boolean);
  /**
   * Set with `last`.
   */
  'usage': (_tandem_v1_Usage__Output | null);
}
