// Original file: proto/tandem/v1/teacher.proto

import type { ScoreItem as _tandem_v1_ScoreItem, ScoreItem__Output as _tandem_v1_ScoreItem__Output } from '../../tandem/v1/ScoreItem.js';

export interface ScoreRequest {
  'items'?: (_tandem_v1_ScoreItem)[];
  /**
   * Ids of items that are no longer wanted; answered by ItemError CANCELLED unless their result is already on the way.
   */
  'cancel'?: (number)[];
}

export interface ScoreRequest__Output {
  'items': (_tandem_v1_ScoreItem__Output)[];
  /**
   * Ids of items that are no longer wanted; answered by ItemError CANCELLED unless their result is already on the way.
   */
  'cancel': (number)[];
}
