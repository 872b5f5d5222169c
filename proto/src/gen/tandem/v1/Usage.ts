// Original file: proto/tandem/v1/teacher.proto


/**
 * What an item cost.
 */
export interface Usage {
  /**
   * Positions sent through the model for it.
   */
  'computedPositions'?: (number);
  /**
   * Positions taken over from a cache.
   */
  'reusedPositions'?: (number);
  /**
   * Milliseconds waiting for a step, and in the steps that computed it.
   */
  'queueMs'?: (number | string);
  'computeMs'?: (number | string);
  /**
   * Of the computed: known tokens whose keys and values were missing (prompt, re-opened response, evicted cache). The rest are the laws
   * asked for: for a draft of g tokens g, less what lies behind its first stop id or max_response.
   */
  'prefillPositions'?: (number);
  /**
   * Positions that cost nothing because an equal item had been answered before (from the server's store) or was being computed. All or none.
   */
  'savedPositions'?: (number);
}

/**
 * What an item cost.
 */
export interface Usage__Output {
  /**
   * Positions sent through the model for it.
   */
  'computedPositions': (number);
  /**
   * Positions taken over from a cache.
   */
  'reusedPositions': (number);
  /**
   * Milliseconds waiting for a step, and in the steps that computed it.
   */
  'queueMs': (number);
  'computeMs': (number);
  /**
   * Of the computed: known tokens whose keys and values were missing (prompt, re-opened response, evicted cache). The rest are the laws
   * asked for: for a draft of g tokens g, less what lies behind its first stop id or max_response.
   */
  'prefillPositions': (number);
  /**
   * Positions that cost nothing because an equal item had been answered before (from the server's store) or was being computed. All or none.
   */
  'savedPositions': (number);
}
