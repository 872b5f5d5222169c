/** The numbers of the COMPACT frame; docs/wire-format.md says what they mean. */

/** "TSF" and the version. */
export const MAGIC = [0x54, 0x53, 0x46] as const;
export const VERSION = 1;
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
  tokenLogit: 1 << 6,
  rank: 1 << 7,
  at: 1 << 8,
  meanLogit: 1 << 9,
  maxLogit: 1 << 10,
  entropy: 1 << 11,
  draws: 1 << 12,
  dense: 1 << 13,
  hidden: 1 << 14,
} as const;
export const ALL_PARTS = (1 << 15) - 1;

/** How logits lie in a part: as f32, or as multiples of a step below their row's maximum. */
export const LOGITS_EXACT = 0;
export const LOGITS_QUANTISED = 1;
/** Quantised distances stay below this, so that they fit 24 bits. */
export const MAX_STEPS = 2 ** 24 - 1;

export const DENSE_F16 = 1;
export const DENSE_F32 = 2;

/** Ids are written as a class (the bit length of id + 1, less one) and the bits below its leading one; classes by a prefix code. */
export const MAX_CLASSES = 24;
export const MAX_CODE_BITS = 8;

/** Quotients of this size and above are escaped: as many zero bits, then the value in 24 bits. */
export const ESCAPE_QUOTIENT = 16;
export const ESCAPE_VALUE_BITS = 24;
export const MAX_RICE_BITS = 15;
