// Original file: proto/tandem/v1/teacher.proto

/**
 * What is computed first when the teacher cannot keep up. More urgent items go ahead, but an eighth of each pass is kept for those that have
 * waited longer than the server's --max-wait-ms. Between clients the engine is shared by weight within each priority.
 */
export const Priority = {
  /**
   * HIGH for drafts and Generate, NORMAL for Score.
   */
  PRIORITY_UNSPECIFIED: 'PRIORITY_UNSPECIFIED',
  PRIORITY_LOW: 'PRIORITY_LOW',
  PRIORITY_NORMAL: 'PRIORITY_NORMAL',
  PRIORITY_HIGH: 'PRIORITY_HIGH',
} as const;

/**
 * What is computed first when the teacher cannot keep up. More urgent items go ahead, but an eighth of each pass is kept for those that have
 * waited longer than the server's --max-wait-ms. Between clients the engine is shared by weight within each priority.
 */
export type Priority =
  /**
   * HIGH for drafts and Generate, NORMAL for Score.
   */
  | 'PRIORITY_UNSPECIFIED'
  | 0
  | 'PRIORITY_LOW'
  | 1
  | 'PRIORITY_NORMAL'
  | 2
  | 'PRIORITY_HIGH'
  | 3

/**
 * What is computed first when the teacher cannot keep up. More urgent items go ahead, but an eighth of each pass is kept for those that have
 * waited longer than the server's --max-wait-ms. Between clients the engine is shared by weight within each priority.
 */
export type Priority__Output = typeof Priority[keyof typeof Priority]
