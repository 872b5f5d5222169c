// Original file: proto/tandem/v1/teacher.proto

export const Finish = {
  /**
   * The sequence goes on.
   */
  FINISH_UNSPECIFIED: 'FINISH_UNSPECIFIED',
  /**
   * The last kept token is a stop id.
   */
  FINISH_STOP: 'FINISH_STOP',
  /**
   * The response has max_response tokens.
   */
  FINISH_LENGTH: 'FINISH_LENGTH',
} as const;

export type Finish =
  /**
   * The sequence goes on.
   */
  | 'FINISH_UNSPECIFIED'
  | 0
  /**
   * The last kept token is a stop id.
   */
  | 'FINISH_STOP'
  | 1
  /**
   * The response has max_response tokens.
   */
  | 'FINISH_LENGTH'
  | 2

export type Finish__Output = typeof Finish[keyof typeof Finish]
