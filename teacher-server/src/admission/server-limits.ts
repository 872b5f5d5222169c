/** What requests are held against: facts of the model and limits of the configuration. */
export interface ServerLimits {
  readonly vocabSize: number;
  readonly contextLength: number;
  readonly layers: number;
  /** D. */
  readonly hiddenSize: number;
  /** Of a block's queries, and of its keys and values each. */
  readonly queryWidth: number;
  readonly keyWidth: number;
  readonly maxMessageBytes: number;
  readonly maxTopK: number;
  readonly maxTaus: number;
  readonly maxDraws: number;
  readonly maxAtIds: number;
  readonly maxDenseBytes: number;
  readonly maxDraftTokens: number;
  readonly maxSequences: number;
  readonly maxItemsInFlight: number;
  /** Longest sequence whose cache fits into the pool at all. */
  readonly maxCachedLength: number;
}
