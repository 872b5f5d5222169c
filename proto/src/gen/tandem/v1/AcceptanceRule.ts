// Original file: proto/tandem/v1/teacher.proto


/**
 * When a draft token is accepted. Judged on raw logits at temperature 1, but for `filtered`.
 */
export interface AcceptanceRule {
  /**
   * rank < K: fewer than K ids have a strictly greater logit. The paper's rule; K = 25 there.
   */
  'rank'?: (number);
  /**
   * The probability of all ids with a strictly greater logit is < this.
   */
  'topP'?: (number | string);
  /**
   * The token's probability is >= this.
   */
  'minP'?: (number | string);
  /**
   * Only the best token; the same as rank = 1.
   */
  'greedy'?: (boolean);
  /**
   * Fewer than K ids have a strictly greater logit, and the sequence's own sampling (temperature, top-k, top-p) leaves the token some
   * probability: what the released code of SKD does, which warps the logits before it takes their best K.
   */
  'filtered'?: (number);
  /**
   * Whatever the draft is, it is replaced with this probability, 0 .. 1, by the counted coin of its position (index 2): text of the mixture
   * of both models.
   */
  'mixture'?: (number | string);
  'rule'?: "rank"|"topP"|"minP"|"greedy"|"filtered"|"mixture";
}

/**
 * When a draft token is accepted. Judged on raw logits at temperature 1, but for `filtered`.
 */
export interface AcceptanceRule__Output {
  /**
   * rank < K: fewer than K ids have a strictly greater logit. The paper's rule; K = 25 there.
   */
  'rank'?: (number);
  /**
   * The probability of all ids with a strictly greater logit is < this.
   */
  'topP'?: (number);
  /**
   * The token's probability is >= this.
   */
  'minP'?: (number);
  /**
   * Only the best token; the same as rank = 1.
   */
  'greedy'?: (boolean);
  /**
   * Fewer than K ids have a strictly greater logit, and the sequence's own sampling (temperature, top-k, top-p) leaves the token some
   * probability: what the released code of SKD does, which warps the logits before it takes their best K.
   */
  'filtered'?: (number);
  /**
   * Whatever the draft is, it is replaced with this probability, 0 .. 1, by the counted coin of its position (index 2): text of the mixture
   * of both models.
   */
  'mixture'?: (number);
  'rule'?: "rank"|"topP"|"minP"|"greedy"|"filtered"|"mixture";
}
