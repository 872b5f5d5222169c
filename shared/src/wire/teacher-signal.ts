/** What the teacher says about a run of positions, as typed arrays (no object per position).
 *
 * Row r (0 ≤ r < count) describes the teacher's law P(· | tokens[0 .. from+r)) and refers to tokens[from+r].
 * Raw teacher logits u ∈ R^V: temperature 1, no warping. For a replaced position `rank` and `tokenLogit` are the replacement's. */
export interface TeacherSignal {
  /** First position described, ≥ 1. */
  readonly from: number;
  /** n, the number of rows. */
  readonly count: number;
  /** k, 0 when no top list was asked for. */
  readonly topK: number;
  /** Asked for (`SignalSpec.logProbs`): topLogits, atLogits and tokenLogit are log-probabilities, u − lse. */
  readonly logProbs?: true;
  /** u32 [n+1], only where the length was chosen row by row (`topPMass`): row r's list, of 1 to k ids, is [topOffsets[r], topOffsets[r+1])
   * of the two arrays below. */
  readonly topOffsets?: Uint32Array;
  /** u32 [n,k] (or ragged), by falling logit, ties by rising id. Left out with `omitTopIds`. */
  readonly topIds?: Uint32Array;
  /** f32 [n,k] (or ragged). */
  readonly topLogits?: Float32Array;
  /** f32 [n]: log Σ_v exp(u_v). */
  readonly lse?: Float32Array;
  /** f32 [n]: log of the softmax mass outside the listed ids (from unquantised logits); −Infinity when k = V. */
  readonly logTail?: Float32Array;
  /** J, the number of temperatures. */
  readonly tauCount: number;
  /** f32 [n,J]: the temperatures themselves. */
  readonly taus?: Float32Array;
  /** f32 [n,J]: log Σ_v exp(u_v/τ). */
  readonly lseAt?: Float32Array;
  /** f32 [n,J]: log of softmax(u/τ)'s mass outside the listed ids. */
  readonly logTailAt?: Float32Array;
  /** f32 [n]: u of the token at the position. */
  readonly tokenLogit?: Float32Array;
  /** u32 [n]: #{v : u_v > u_token}; 0 = best. */
  readonly rank?: Uint32Array;
  /** u32 [n+1]: row r's answers are atLogits[atOffsets[r] .. atOffsets[r+1]), in the order the ids were sent. */
  readonly atOffsets?: Uint32Array;
  readonly atLogits?: Float32Array;
  /** f32 [n] each: mean and maximum of u over the vocabulary, entropy of softmax(u) in nats. */
  readonly meanLogit?: Float32Array;
  readonly maxLogit?: Float32Array;
  readonly entropy?: Float32Array;
  /** u32 [n+1], u32, u32: distinct ids sampled from softmax(u/drawTemperature), ascending, with their counts. */
  readonly drawOffsets?: Uint32Array;
  readonly drawIds?: Uint32Array;
  readonly drawCounts?: Uint32Array;
  /** f32 for each drawn id: softmax(u) there over the law it was sampled from; only with a draw temperature other than 1. */
  readonly drawWeights?: Float32Array;
  /** f32 [n,V] (sent as f16 or f32). */
  readonly dense?: Float32Array;
  /** Per layer asked for, f32 [n,D] (sent as f16). Layer 0 is the embedding's output, layer i the output of block i. */
  readonly hidden?: ReadonlyMap<number, Float32Array>;
}

/** Which parts of the signal are wanted. Parts not asked for are not computed and not sent. */
export interface SignalSpec {
  /** k of the top list; 0 = none. With k > 0 come topIds, topLogits, lse and logTail. */
  readonly topK: number;
  /** 0 < P < 1: a row's list ends with the first id by which it holds at least so much of the teacher's probability at temperature 1, or with the k-th.
   * 1: every list has k ids. */
  readonly topPMass: number;
  /** The top list without its ids. */
  readonly omitTopIds: boolean;
  /** Logits of the list, of the student's ids and of the token as log-probabilities: lse and logTail are not sent. */
  readonly logProbs: boolean;
  /** lse alone (implied by topK > 0). */
  readonly lse: boolean;
  /** tokenLogit and rank. */
  readonly token: boolean;
  /** meanLogit, maxLogit, entropy. */
  readonly moments: boolean;
  /** Temperatures for every position; per-position temperatures travel with the item instead. */
  readonly taus: readonly number[];
  /** Number of samples per position; 0 = none. */
  readonly draws: number;
  /** Temperature of the law that is sampled; one other than 1 brings drawWeights. */
  readonly drawTemperature: number;
  readonly dense: "none" | "f16" | "f32";
  readonly hiddenLayers: readonly number[];
}

export const NO_SIGNAL: SignalSpec = {
  topK: 0,
  topPMass: 1,
  omitTopIds: false,
  logProbs: false,
  lse: false,
  token: false,
  moments: false,
  taus: [],
  draws: 0,
  drawTemperature: 1,
  dense: "none",
  hiddenLayers: [],
};
