// Original file: proto/tandem/v1/teacher.proto

import type { Open as _tandem_v1_Open, Open__Output as _tandem_v1_Open__Output } from '../../tandem/v1/Open.js';
import type { Draft as _tandem_v1_Draft, Draft__Output as _tandem_v1_Draft__Output } from '../../tandem/v1/Draft.js';

/**
 * Handled in the order of the fields: opens, drafts, closes, cancels.
 */
export interface InterleaveRequest {
  'opens'?: (_tandem_v1_Open)[];
  'drafts'?: (_tandem_v1_Draft)[];
  /**
   * Sequences that are finished with; their ids may be used again.
   */
  'closes'?: (number)[];
  /**
   * Sequences whose unanswered drafts are no longer wanted: those drafts are answered CANCELLED, the session stays open.
   */
  'cancels'?: (number)[];
}

/**
 * Handled in the order of the fields: opens, drafts, closes, cancels.
 */
export interface InterleaveRequest__Output {
  'opens': (_tandem_v1_Open__Output)[];
  'drafts': (_tandem_v1_Draft__Output)[];
  /**
   * Sequences that are finished with; their ids may be used again.
   */
  'closes': (number)[];
  /**
   * Sequences whose unanswered drafts are no longer wanted: those drafts are answered CANCELLED, the session stays open.
   */
  'cancels': (number)[];
}
