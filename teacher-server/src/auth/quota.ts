/** What a client may use. Absent: as much as there is. */
export interface Quota {
  /** Items (scores, opens, drafts, generated sequences) a second. */
  readonly requestsPerSecond?: number | undefined;
  /** Tokens a second: those sent to be judged, read or written. */
  readonly tokensPerSecond?: number | undefined;
  /** Bytes a second, both ways together. */
  readonly bytesPerSecond?: number | undefined;
  /** Open Interleave sequences at once, over all streams. */
  readonly sequences?: number | undefined;
  /** Open streams at once. */
  readonly streams?: number | undefined;
}

export const NO_QUOTA: Quota = {};
