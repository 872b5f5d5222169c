// Original file: proto/tandem/v1/teacher.proto


/**
 * Temperature, then top-k, then top-p; then inverse CDF over rising ids.
 */
export interface Sampling {
  /**
   * 0 = greedy (lowest id among equals).
   */
  'temperature'?: (number | string);
  /**
   * 0 = off.
   */
  'topK'?: (number);
  /**
   * Smallest set of most probable ids with at least this mass; 0 or 1 = off.
   */
  'topP'?: (number | string);
}

/**
 * Temperature, then top-k, then top-p; then inverse CDF over rising ids.
 */
export interface Sampling__Output {
  /**
   * 0 = greedy (lowest id among equals).
   */
  'temperature': (number);
  /**
   * 0 = off.
   */
  'topK': (number);
  /**
   * Smallest set of most probable ids with at least this mass; 0 or 1 = off.
   */
  'topP': (number);
}
