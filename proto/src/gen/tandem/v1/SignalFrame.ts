// Original file: proto/tandem/v1/signal.proto

import type { PlainSignal as _tandem_v1_PlainSignal, PlainSignal__Output as _tandem_v1_PlainSignal__Output } from '../../tandem/v1/PlainSignal.js';
import type { CompactSignal as _tandem_v1_CompactSignal, CompactSignal__Output as _tandem_v1_CompactSignal__Output } from '../../tandem/v1/CompactSignal.js';

/**
 * A run of consecutive positions of one sequence.
 */
export interface SignalFrame {
  /**
   * Index i of the first row, >= 1.
   */
  'from'?: (number);
  /**
   * n.
   */
  'count'?: (number);
  'plain'?: (_tandem_v1_PlainSignal | null);
  'compact'?: (_tandem_v1_CompactSignal | null);
  'body'?: "plain"|"compact";
}

/**
 * A run of consecutive positions of one sequence.
 */
export interface SignalFrame__Output {
  /**
   * Index i of the first row, >= 1.
   */
  'from': (number);
  /**
   * n.
   */
  'count': (number);
  'plain'?: (_tandem_v1_PlainSignal__Output | null);
  'compact'?: (_tandem_v1_CompactSignal__Output | null);
  'body'?: "plain"|"compact";
}
