// Original file: proto/tandem/v1/teacher.proto


/**
 * A block of tokens the student proposes at response positions start .. start+g.
 * 
 * Several drafts of a sequence may be unanswered: each assumes that all before it were accepted. `replacements_seen` counts the
 * replacements of this sequence that the client knew of; a draft that lags behind is answered `stale` and computes nothing.
 * A draft that was answered already may be sent again and gets the same verdict. A draft behind the end of a finished sequence is `stale`.
 * When a draft fails (timeout, cancel, lost engine) those queued behind it fail with the same code: they were built on it.
 */
export interface Draft {
  'sequence'?: (number);
  /**
   * Response-relative position of the first draft token.
   */
  'start'?: (number);
  'replacementsSeen'?: (number);
  /**
   * u32 [g], 1 <= g <= `Limits.max_draft_tokens`.
   */
  'tokens'?: (Buffer | Uint8Array | string);
  /**
   * For each draft position, as in ScoreItem: u32 [g+1], u32; f32 [g,J].
   */
  'atOffsets'?: (Buffer | Uint8Array | string);
  'atIds'?: (Buffer | Uint8Array | string);
  'taus'?: (Buffer | Uint8Array | string);
  /**
   * As in ScoreItem.
   */
  'timeoutMs'?: (number);
}

/**
 * A block of tokens the student proposes at response positions start .. start+g.
 * 
 * Several drafts of a sequence may be unanswered: each assumes that all before it were accepted. `replacements_seen` counts the
 * replacements of this sequence that the client knew of; a draft that lags behind is answered `stale` and computes nothing.
 * A draft that was answered already may be sent again and gets the same verdict. A draft behind the end of a finished sequence is `stale`.
 * When a draft fails (timeout, cancel, lost engine) those queued behind it fail with the same code: they were built on it.
 */
export interface Draft__Output {
  'sequence': (number);
  /**
   * Response-relative position of the first draft token.
   */
  'start': (number);
  'replacementsSeen': (number);
  /**
   * u32 [g], 1 <= g <= `Limits.max_draft_tokens`.
   */
  'tokens': (Buffer);
  /**
   * For each draft position, as in ScoreItem: u32 [g+1], u32; f32 [g,J].
   */
  'atOffsets': (Buffer);
  'atIds': (Buffer);
  'taus': (Buffer);
  /**
   * As in ScoreItem.
   */
  'timeoutMs': (number);
}
