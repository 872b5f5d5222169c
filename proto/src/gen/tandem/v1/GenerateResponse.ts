// Original file: proto/tandem/v1/teacher.proto

import type { GenerateChunk as _tandem_v1_GenerateChunk, GenerateChunk__Output as _tandem_v1_GenerateChunk__Output } from '../../tandem/v1/GenerateChunk.js';
import type { ItemError as _tandem_v1_ItemError, ItemError__Output as _tandem_v1_ItemError__Output } from '../../tandem/v1/ItemError.js';

export interface GenerateResponse {
  'chunks'?: (_tandem_v1_GenerateChunk)[];
  'errors'?: (_tandem_v1_ItemError)[];
}

export interface GenerateResponse__Output {
  'chunks': (_tandem_v1_GenerateChunk__Output)[];
  'errors': (_tandem_v1_ItemError__Output)[];
}
