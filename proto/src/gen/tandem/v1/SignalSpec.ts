// Original file: proto/tandem/v1/signal.proto

import type { DenseType as _tandem_v1_DenseType, DenseType__Output as _tandem_v1_DenseType__Output } from '../../tandem/v1/DenseType.js';
import type { Encoding as _tandem_v1_Encoding, Encoding__Output as _tandem_v1_Encoding__Output } from '../../tandem/v1/Encoding.js';

/**
 * Which parts are wanted. Parts not asked for are neither computed nor sent. An empty spec yields no signal (verdicts only).
 */
export interface SignalSpec {
  /**
   * k of the top list, 0 = none, at most `Limits.max_top_k` and V. k > 0 brings top_ids, top_logits, lse, log_tail.
   */
  'topK'?: (number);
  /**
   * lse alone; implied by top_k > 0.
   */
  'lse'?: (boolean);
  /**
   * token_logit and rank of the token each row refers to.
   */
  'token'?: (boolean);
  /**
   * mean_logit, max_logit, entropy.
   */
  'moments'?: (boolean);
  /**
   * Temperatures (> 0) for every row: brings lse_at, and log_tail_at if top_k > 0. At most `Limits.max_taus`.
   * Per-row temperatures travel with the item instead (`taus`); not both.
   */
  'taus'?: (number | string)[];
  /**
   * Number of tokens sampled from the teacher's law, per row. At most `Limits.max_draws`.
   */
  'draws'?: (number);
  /**
   * All V logits of every row. Refused when V x rows exceeds `Limits.max_dense_bytes`.
   */
  'dense'?: (_tandem_v1_DenseType);
  /**
   * Hidden states: 0 = output of the embedding, i = output of block i, up to `Describe.layers`. 65536 + i, 131072 + i, 196608 + i: queries, keys,
   * values of block i >= 1, all heads side by side, before norms of heads and rotation.
   */
  'hiddenLayers'?: (number)[];
  'encoding'?: (_tandem_v1_Encoding);
  /**
   * COMPACT only: the largest absolute error allowed in top_logits, at_logits and dense logits (DENSE_TYPE_F32), and with `log_probs` in
   * token_logit, in nats. 0 = exact (float32). Default 0.01.
   */
  'maxLogitError'?: (number | string);
  /**
   * The top list of each row ends with the first id by which it holds at least this much of the teacher's probability at temperature 1, or
   * with the k-th: 0 < top_p_mass < 1, with top_k > 0. 0 or 1: every list has k ids. log_tail and log_tail_at are those of the shorter list.
   */
  'topPMass'?: (number | string);
  /**
   * Temperature (> 0) of the law that `draws` are sampled from, softmax(u / temperature). Given and not 1: brings draw_weights. Default 1.
   */
  'drawTemperature'?: (number | string);
  /**
   * top_logits, at_logits and token_logit are log-probabilities at temperature 1, u - lse; neither lse nor log_tail is sent. For losses that read a
   * few probabilities. Not with moments, temperatures or dense.
   */
  'logProbs'?: (boolean);
  /**
   * The top list comes without top_ids, with top_k > 0: for losses on sorted probabilities.
   */
  'omitTopIds'?: (boolean);
  '_maxLogitError'?: "maxLogitError";
  '_drawTemperature'?: "drawTemperature";
}

/**
 * Which parts are wanted. Parts not asked for are neither computed nor sent. An empty spec yields no signal (verdicts only).
 */
export interface SignalSpec__Output {
  /**
   * k of the top list, 0 = none, at most `Limits.max_top_k` and V. k > 0 brings top_ids, top_logits, lse, log_tail.
   */
  'topK': (number);
  /**
   * lse alone; implied by top_k > 0.
   */
  'lse': (boolean);
  /**
   * token_logit and rank of the token each row refers to.
   */
  'token': (boolean);
  /**
   * mean_logit, max_logit, entropy.
   */
  'moments': (boolean);
  /**
   * Temperatures (> 0) for every row: brings lse_at, and log_tail_at if top_k > 0. At most `Limits.max_taus`.
   * Per-row temperatures travel with the item instead (`taus`); not both.
   */
  'taus': (number)[];
  /**
   * Number of tokens sampled from the teacher's law, per row. At most `Limits.max_draws`.
   */
  'draws': (number);
  /**
   * All V logits of every row. Refused when V x rows exceeds `Limits.max_dense_bytes`.
   */
  'dense': (_tandem_v1_DenseType__Output);
  /**
   * Hidden states: 0 = output of the embedding, i = output of block i, up to `Describe.layers`. 65536 + i, 131072 + i, 196608 + i: queries, keys,
   * values of block i >= 1, all heads side by side, before norms of heads and rotation.
   */
  'hiddenLayers': (number)[];
  'encoding': (_tandem_v1_Encoding__Output);
  /**
   * COMPACT only: the largest absolute error allowed in top_logits, at_logits and dense logits (DENSE_TYPE_F32), and with `log_probs` in
   * token_logit, in nats. 0 = exact (float32). Default 0.01.
   */
  'maxLogitError'?: (number);
  /**
   * The top list of each row ends with the first id by which it holds at least this much of the teacher's probability at temperature 1, or
   * with the k-th: 0 < top_p_mass < 1, with top_k > 0. 0 or 1: every list has k ids. log_tail and log_tail_at are those of the shorter list.
   */
  'topPMass': (number);
  /**
   * Temperature (> 0) of the law that `draws` are sampled from, softmax(u / temperature). Given and not 1: brings draw_weights. Default 1.
   */
  'drawTemperature'?: (number);
  /**
   * top_logits, at_logits and token_logit are log-probabilities at temperature 1, u - lse; neither lse nor log_tail is sent. For losses that read a
   * few probabilities. Not with moments, temperatures or dense.
   */
  'logProbs': (boolean);
  /**
   * The top list comes without top_ids, with top_k > 0: for losses on sorted probabilities.
   */
  'omitTopIds': (boolean);
  '_maxLogitError'?: "maxLogitError";
  '_drawTemperature'?: "drawTemperature";
}
