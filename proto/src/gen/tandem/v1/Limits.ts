// Original file: proto/tandem/v1/teacher.proto


export interface Limits {
  'maxMessageBytes'?: (number);
  'maxTopK'?: (number);
  'maxTaus'?: (number);
  'maxDraws'?: (number);
  /**
   * Most ids per row in `at_ids`.
   */
  'maxAtIds'?: (number);
  'maxDenseBytes'?: (number);
  /**
   * Drafts per block.
   */
  'maxDraftTokens'?: (number);
  /**
   * Open sequences per stream, and items in flight per stream.
   */
  'maxSequences'?: (number);
  'maxItemsInFlight'?: (number);
}

export interface Limits__Output {
  'maxMessageBytes': (number);
  'maxTopK': (number);
  'maxTaus': (number);
  'maxDraws': (number);
  /**
   * Most ids per row in `at_ids`.
   */
  'maxAtIds': (number);
  'maxDenseBytes': (number);
  /**
   * Drafts per block.
   */
  'maxDraftTokens': (number);
  /**
   * Open sequences per stream, and items in flight per stream.
   */
  'maxSequences': (number);
  'maxItemsInFlight': (number);
}
