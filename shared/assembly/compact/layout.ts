/** Numbers of the frame, as in src/wire/compact/layout.ts. */

/** Bits of the widest id. */
export const WIDEST: i32 = 24;
export const MAX_STEPS: u32 = (1 << 24) - 1;
