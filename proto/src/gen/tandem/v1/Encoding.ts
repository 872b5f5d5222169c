// Original file: proto/tandem/v1/signal.proto

/**
 * How signals travel. Both decode to the same arrays.
 */
export const Encoding = {
  /**
   * Means PLAIN.
   */
  ENCODING_UNSPECIFIED: 'ENCODING_UNSPECIFIED',
  /**
   * One `bytes` field per part; numpy.frombuffer reads it.
   */
  ENCODING_PLAIN: 'ENCODING_PLAIN',
  /**
   * One binary frame per chunk of positions, a third of the size; see CompactSignal.
   */
  ENCODING_COMPACT: 'ENCODING_COMPACT',
} as const;

/**
 * How signals travel. Both decode to the same arrays.
 */
export type Encoding =
  /**
   * Means PLAIN.
   */
  | 'ENCODING_UNSPECIFIED'
  | 0
  /**
   * One `bytes` field per part; numpy.frombuffer reads it.
   */
  | 'ENCODING_PLAIN'
  | 1
  /**
   * One binary frame per chunk of positions, a third of the size; see CompactSignal.
   */
  | 'ENCODING_COMPACT'
  | 2

/**
 * How signals travel. Both decode to the same arrays.
 */
export type Encoding__Output = typeof Encoding[keyof typeof Encoding]
