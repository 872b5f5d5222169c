// Original file: proto/tandem/v1/signal.proto

export const DenseType = {
  /**
   * No dense part.
   */
  DENSE_TYPE_UNSPECIFIED: 'DENSE_TYPE_UNSPECIFIED',
  /**
   * IEEE half, rounded to nearest even.
   */
  DENSE_TYPE_F16: 'DENSE_TYPE_F16',
  DENSE_TYPE_F32: 'DENSE_TYPE_F32',
} as const;

export type DenseType =
  /**
   * No dense part.
   */
  | 'DENSE_TYPE_UNSPECIFIED'
  | 0
  /**
   * IEEE half, rounded to nearest even.
   */
  | 'DENSE_TYPE_F16'
  | 1
  | 'DENSE_TYPE_F32'
  | 2

export type DenseType__Output = typeof DenseType[keyof typeof DenseType]
