/** The kernels' memory: what a call reads is copied in, what it writes is copied out, and nothing stays but what a long list needs from one call
 * to the next. A call works on a chunk, so that the memory never grows and stays near the core. */

/** List entries in a chunk. A multiple of eight. */
export const CHUNK_ENTRIES: i32 = 8192;

/** u32 [rows+1]: where each list begins. Only differences count. */
export const OFFSETS: usize = memory.data(4 * (CHUNK_ENTRIES + 1), 16);
/** f32 [rows]: the first logit of each list. */
export const MAXIMA: usize = memory.data(4 * CHUNK_ENTRIES, 16);
/** u8: bits of a gap in each group of eight list places. */
export const WIDTHS: usize = memory.data(CHUNK_ENTRIES / 8, 16);
/** Ids or gap blocks as bit streams, up to 24 bits an entry. Vectors are read and written up to 28 bytes beyond. */
export const BITS: usize = memory.data(3 * CHUNK_ENTRIES + 32, 16);
/** u8: varints of up to five bytes. */
export const ESCAPES: usize = memory.data(5 * CHUNK_ENTRIES, 16);
/** u32 [entries]: ids, or steps from one logit down to the next; a group of eight may reach beyond. */
export const NUMBERS: usize = memory.data(4 * CHUNK_ENTRIES + 32, 16);
/** f32 [entries], likewise. */
export const LOGITS: usize = memory.data(4 * CHUNK_ENTRIES + 32, 16);

/** Bit lengths that g + 1 may have for a gap g ≤ MAX_STEPS, rounded up to a power of two. */
export const LENGTHS: i32 = 32;
/** u32 [groups, LENGTHS]: how many gaps g of a group of list places have a g + 1 of so many bits. */
export const COUNTS: usize = memory.data(4 * LENGTHS * (CHUNK_ENTRIES / 8), 16);
