/** The numbers of the COMPACT frame; docs/wire-format.md says what they mean. */

/** "TSF" and the version. */
export const MAGIC = [0x54, 0x53, 0x46] as const;
export const VERSION = 3;
/** Magic, version, part bits. */
export const FIXED_HEADER_BYTES = 6;
export const CHECKSUM_BYTES = 4;
/** Bit positions are 32-bit integers while frames are coded. */
export const MAX_FRAME_BYTES = 2 ** 27;

export const PART_BITS = {
  top: 1 << 0,
  lse: 1 << 1,
  logTail: 1 << 2,
  taus: 1 << 3,
  lseAt: 1 << 4,
  logTailAt: 1 << 5,
  rank: 1 << 6,
  tokenLogit: 1 << 7,
  at: 1 << 8,
  meanLogit: 1 << 9,
  maxLogit: 1 << 10,
  entropy: 1 << 11,
  draws: 1 << 12,
  dense: 1 << 13,
  hidden: 1 << 14,
  drawWeights: 1 << 16,
  /** Logits are normalised. */
  logProbs: 1 << 17,
  /** Top lists have no ids. */
  withoutIds: 1 << 18,
} as const;
/** Set in the header's part bits where parts of bit 16 and up are named behind V. */
export const FURTHER_PARTS = 1 << 15;
export const ALL_PARTS = Object.values(PART_BITS).reduce((bits, bit) => bits | bit, 0);

/** How logits lie in a part: as f32, or as multiples of a step below the largest of their row, or of the frame. */
export const LOGITS_EXACT = 0;
export const LOGITS_QUANTISED = 1;
export const LOGITS_TOGETHER = 2;
/** Quantised distances stay below this, so that they fit 24 bits. */
export const MAX_STEPS = 2 ** 24 - 1;

/** Whether token logits are all there, or only those of rows whose token is not the best (of the others the list knows it), or all of them on a grid. */
export const TOKENS_ALL = 0;
export const TOKENS_BELOW_BEST = 1;
export const TOKENS_ON_GRID = 2;

export const DENSE_F16 = 1;
export const DENSE_F32 = 2;
/** f32 within the error that is allowed. */
export const DENSE_ON_GRID = 3;

/** Whether all rows' top lists have k ids, or each its own length. */
export const LISTS_WHOLE = 0;
export const LISTS_RAGGED = 1;

/** V is below 2 to this. */
export const MAX_ID_BITS = 24;

/** So many gaps of a row share a width, so that a whole group takes as many bytes as a gap has bits. */
export const GAP_GROUP = 8;
export const MAX_GAP_BITS = 15;
