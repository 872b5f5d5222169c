// Original file: proto/tandem/v1/signal.proto

import type { DenseType as _tandem_v1_DenseType, DenseType__Output as _tandem_v1_DenseType__Output } from '../../tandem/v1/DenseType.js';
import type { HiddenState as _tandem_v1_HiddenState, HiddenState__Output as _tandem_v1_HiddenState__Output } from '../../tandem/v1/HiddenState.js';

/**
 * Parts that were not asked for are empty.
 */
export interface PlainSignal {
  /**
   * k, J: widths of the arrays below.
   */
  'topK'?: (number);
  'tauCount'?: (number);
  /**
   * u32 [n,k]: ids by falling logit, equal logits by rising id. With `top_p_mass`: [m] in top_ids and top_logits, see top_offsets.
   * Empty with `omit_top_ids`.
   */
  'topIds'?: (Buffer | Uint8Array | string);
  /**
   * f32 [n,k]: their logits.
   */
  'topLogits'?: (Buffer | Uint8Array | string);
  /**
   * f32 [n]: log sum_v exp(u_v), nats.
   */
  'lse'?: (Buffer | Uint8Array | string);
  /**
   * f32 [n]: log of the probability outside the listed ids, nats; -inf when all V are. Computed from unquantised logits.
   */
  'logTail'?: (Buffer | Uint8Array | string);
  /**
   * f32 [n,J]: the temperatures of each row.
   */
  'taus'?: (Buffer | Uint8Array | string);
  /**
   * f32 [n,J]: log sum_v exp(u_v / tau).
   */
  'lseAt'?: (Buffer | Uint8Array | string);
  /**
   * f32 [n,J]: log of the mass of softmax(u / tau) outside the listed ids. Empty when k = 0.
   */
  'logTailAt'?: (Buffer | Uint8Array | string);
  /**
   * f32 [n]: logit of the token the row refers to (of the replacement where the teacher replaced it).
   */
  'tokenLogit'?: (Buffer | Uint8Array | string);
  /**
   * u32 [n]: number of ids whose logit is strictly greater than token_logit; 0 = best.
   */
  'rank'?: (Buffer | Uint8Array | string);
  /**
   * u32 [n+1]: row r's answers are at_logits[at_offsets[r] .. at_offsets[r+1]), in the order the ids were sent.
   */
  'atOffsets'?: (Buffer | Uint8Array | string);
  /**
   * f32 [at_offsets[n]].
   */
  'atLogits'?: (Buffer | Uint8Array | string);
  /**
   * f32 [n] each, over the V ids: mean and maximum logit; entropy of softmax(u) in nats.
   */
  'meanLogit'?: (Buffer | Uint8Array | string);
  'maxLogit'?: (Buffer | Uint8Array | string);
  'entropy'?: (Buffer | Uint8Array | string);
  /**
   * u32 [n+1], then u32 each: distinct sampled ids, rising, and how often each was drawn.
   */
  'drawOffsets'?: (Buffer | Uint8Array | string);
  'drawIds'?: (Buffer | Uint8Array | string);
  'drawCounts'?: (Buffer | Uint8Array | string);
  /**
   * f16 or f32 [n,V], as asked for.
   */
  'denseType'?: (_tandem_v1_DenseType);
  'dense'?: (Buffer | Uint8Array | string);
  /**
   * One entry per layer asked for, in that order.
   */
  'hidden'?: (_tandem_v1_HiddenState)[];
  /**
   * u32 [n+1], with `top_p_mass` only: row r's list, of 1 to k ids, is [top_offsets[r] .. top_offsets[r+1]) of top_ids and top_logits.
   */
  'topOffsets'?: (Buffer | Uint8Array | string);
  /**
   * f32 for each drawn id: its probability at temperature 1 over that in the law it was sampled from.
   */
  'drawWeights'?: (Buffer | Uint8Array | string);
  /**
   * What was asked for: top_logits, at_logits and token_logit are u - lse.
   */
  'logProbs'?: (boolean);
}

/**
 * Parts that were not asked for are empty.
 */
export interface PlainSignal__Output {
  /**
   * k, J: widths of the arrays below.
   */
  'topK': (number);
  'tauCount': (number);
  /**
   * u32 [n,k]: ids by falling logit, equal logits by rising id. With `top_p_mass`: [m] in top_ids and top_logits, see top_offsets.
   * Empty with `omit_top_ids`.
   */
  'topIds': (Buffer);
  /**
   * f32 [n,k]: their logits.
   */
  'topLogits': (Buffer);
  /**
   * f32 [n]: log sum_v exp(u_v), nats.
   */
  'lse': (Buffer);
  /**
   * f32 [n]: log of the probability outside the listed ids, nats; -inf when all V are. Computed from unquantised logits.
   */
  'logTail': (Buffer);
  /**
   * f32 [n,J]: the temperatures of each row.
   */
  'taus': (Buffer);
  /**
   * f32 [n,J]: log sum_v exp(u_v / tau).
   */
  'lseAt': (Buffer);
  /**
   * f32 [n,J]: log of the mass of softmax(u / tau) outside the listed ids. Empty when k = 0.
   */
  'logTailAt': (Buffer);
  /**
   * f32 [n]: logit of the token the row refers to (of the replacement where the teacher replaced it).
   */
  'tokenLogit': (Buffer);
  /**
   * u32 [n]: number of ids whose logit is strictly greater than token_logit; 0 = best.
   */
  'rank': (Buffer);
  /**
   * u32 [n+1]: row r's answers are at_logits[at_offsets[r] .. at_offsets[r+1]), in the order the ids were sent.
   */
  'atOffsets': (Buffer);
  /**
   * f32 [at_offsets[n]].
   */
  'atLogits': (Buffer);
  /**
   * f32 [n] each, over the V ids: mean and maximum logit; entropy of softmax(u) in nats.
   */
  'meanLogit': (Buffer);
  'maxLogit': (Buffer);
  'entropy': (Buffer);
  /**
   * u32 [n+1], then u32 each: distinct sampled ids, rising, and how often each was drawn.
   */
  'drawOffsets': (Buffer);
  'drawIds': (Buffer);
  'drawCounts': (Buffer);
  /**
   * f16 or f32 [n,V], as asked for.
   */
  'denseType': (_tandem_v1_DenseType__Output);
  'dense': (Buffer);
  /**
   * One entry per layer asked for, in that order.
   */
  'hidden': (_tandem_v1_HiddenState__Output)[];
  /**
   * u32 [n+1], with `top_p_mass` only: row r's list, of 1 to k ids, is [top_offsets[r] .. top_offsets[r+1]) of top_ids and top_logits.
   */
  'topOffsets': (Buffer);
  /**
   * f32 for each drawn id: its probability at temperature 1 over that in the law it was sampled from.
   */
  'drawWeights': (Buffer);
  /**
   * What was asked for: top_logits, at_logits and token_logit are u - lse.
   */
  'logProbs': (boolean);
}
