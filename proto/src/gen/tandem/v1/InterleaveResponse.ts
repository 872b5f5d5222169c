// Original file: proto/tandem/v1/teacher.proto

import type { Verdict as _tandem_v1_Verdict, Verdict__Output as _tandem_v1_Verdict__Output } from '../../tandem/v1/Verdict.js';
import type { Stale as _tandem_v1_Stale, Stale__Output as _tandem_v1_Stale__Output } from '../../tandem/v1/Stale.js';
import type { ItemError as _tandem_v1_ItemError, ItemError__Output as _tandem_v1_ItemError__Output } from '../../tandem/v1/ItemError.js';

/**
 * Verdicts follow the order of drafts within a sequence.
 */
export interface InterleaveResponse {
  'verdicts'?: (_tandem_v1_Verdict)[];
  'stales'?: (_tandem_v1_Stale)[];
  'errors'?: (_tandem_v1_ItemError)[];
}

/**
 * Verdicts follow the order of drafts within a sequence.
 */
export interface InterleaveResponse__Output {
  'verdicts': (_tandem_v1_Verdict__Output)[];
  'stales': (_tandem_v1_Stale__Output)[];
  'errors': (_tandem_v1_ItemError__Output)[];
}
