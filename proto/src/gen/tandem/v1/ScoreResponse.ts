// Original file: proto/tandem/v1/teacher.proto

import type { ScoreResult as _tandem_v1_ScoreResult, ScoreResult__Output as _tandem_v1_ScoreResult__Output } from '../../tandem/v1/ScoreResult.js';
import type { ItemError as _tandem_v1_ItemError, ItemError__Output as _tandem_v1_ItemError__Output } from '../../tandem/v1/ItemError.js';

export interface ScoreResponse {
  'results'?: (_tandem_v1_ScoreResult)[];
  'errors'?: (_tandem_v1_ItemError)[];
}

export interface ScoreResponse__Output {
  'results': (_tandem_v1_ScoreResult__Output)[];
  'errors': (_tandem_v1_ItemError__Output)[];
}
