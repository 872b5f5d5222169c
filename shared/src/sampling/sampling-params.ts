/** How a token is drawn from logits: temperature, then top-k, then top-p (the order of transformers). */
export interface SamplingParams {
  /** > 0; 0 means greedy (the lowest id of the maximum). */
  readonly temperature: number;
  /** Keep the k largest; 0 = off. Ties go to the lower id. */
  readonly topK: number;
  /** Keep the smallest prefix by falling probability with mass ≥ topP; 1 = off. */
  readonly topP: number;
}
