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
}
