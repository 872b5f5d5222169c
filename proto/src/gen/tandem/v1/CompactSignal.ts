// Original file: proto/tandem/v1/signal.proto


export interface CompactSignal {
  /**
   * Little-endian throughout. varint: LEB128 below 2^32. Nibbles: two to a byte, first in the low half. Bit streams: start at a byte, fill
   * bytes from the least significant bit, low bits of a number first, padded to a byte. The same with examples: docs/wire-format.md.
   * 
   * "TSF", u8 version 3, u16 parts, varint from, varint n, varint k, varint J, varint V (< 2^24), with bit 15 of the parts: varint further parts
   * (bits 16 and up), the parts in the order of their bits, u32 CRC-32 (IEEE 802.3, as in gzip) of all before it.
   * 
   * 0 top (below)   1 lse f32 [n]   2 log_tail f32 [n]   3 taus: u8 0, f32 [n,J]; or u8 1, f32 [J] for every row   4 lse_at f32 [n,J]
   * 5 log_tail_at f32 [n,J]   6 rank varint [n]   7 token_logit: u8 0, f32 [n]; or u8 1, f32 of each row whose rank is not 0, the others'
   * is the first logit of their list; or u8 2, f32 step, f32 largest error, grid [n]   8 at (below)   9 mean_logit, 10 max_logit, 11 entropy f32 [n]
   * 12 draws: varint [n] list lengths; then for each id, rising: varint id - the one before - 1 (before the first: -1), varint count - 1
   * 13 dense: u8 1, f16 [n,V]; or u8 2, f32 [n,V]; or u8 3, f32 step, f32 largest error, a grid for each row
   * 14 hidden: varint layers; for each varint layer, varint D, f16 [n,D]
   * 16 draw_weights: f32 for each drawn id   17 log_probs: no bytes; logits are u - lse   18 no bytes; lists have no ids
   * 
   * top: u8 0, every list has k ids; or u8 1, varint [n] list lengths, 1 .. k; u8 mode;
   * mode 1 only: f32 step, f32 largest error, nibbles [ceil(k / 8)] widths w of gaps, 1 .. 15;
   * without part 18: bit stream of the m ids in as many bits as V - 1 has (at least 1); mode 0: f32 [m] logits;
   * mode 1: f32 [n] first logits; gap blocks; varints of the escapes, in the order of the gaps.
   * Rows are in falling order of logits. Gap j = 0 .. of a row: steps g from logit j-1 down to logit j, 0 for j = 0. Gaps 8i .. 8i+7 of a
   * row are a bit stream of w[i] bits each; all ones mean g = 2^w[i] - 1 + the next escape. logit j = float32(first - (g_0 + ... + g_j) * step).
   * at: varint [n] list lengths; u8 mode; mode 0: f32 logits; modes 1, 2: f32 step, f32 largest error, then mode 1: a grid for each row,
   * mode 2: one for all logits.
   * grid [m]: nothing if m = 0; i32 largest, u8 width 1 .. 24, bit stream of q in width bits each; logit = float32((largest - q) * step).
   */
  'frame'?: (Buffer | Uint8Array | string);
}

export interface CompactSignal__Output {
  /**
   * Little-endian throughout. varint: LEB128 below 2^32. Nibbles: two to a byte, first in the low half. Bit streams: start at a byte, fill
   * bytes from the least significant bit, low bits of a number first, padded to a byte. The same with examples: docs/wire-format.md.
   * 
   * "TSF", u8 version 3, u16 parts, varint from, varint n, varint k, varint J, varint V (< 2^24), with bit 15 of the parts: varint further parts
   * (bits 16 and up), the parts in the order of their bits, u32 CRC-32 (IEEE 802.3, as in gzip) of all before it.
   * 
   * 0 top (below)   1 lse f32 [n]   2 log_tail f32 [n]   3 taus: u8 0, f32 [n,J]; or u8 1, f32 [J] for every row   4 lse_at f32 [n,J]
   * 5 log_tail_at f32 [n,J]   6 rank varint [n]   7 token_logit: u8 0, f32 [n]; or u8 1, f32 of each row whose rank is not 0, the others'
   * is the first logit of their list; or u8 2, f32 step, f32 largest error, grid [n]   8 at (below)   9 mean_logit, 10 max_logit, 11 entropy f32 [n]
   * 12 draws: varint [n] list lengths; then for each id, rising: varint id - the one before - 1 (before the first: -1), varint count - 1
   * 13 dense: u8 1, f16 [n,V]; or u8 2, f32 [n,V]; or u8 3, f32 step, f32 largest error, a grid for each row
   * 14 hidden: varint layers; for each varint layer, varint D, f16 [n,D]
   * 16 draw_weights: f32 for each drawn id   17 log_probs: no bytes; logits are u - lse   18 no bytes; lists have no ids
   * 
   * top: u8 0, every list has k ids; or u8 1, varint [n] list lengths, 1 .. k; u8 mode;
   * mode 1 only: f32 step, f32 largest error, nibbles [ceil(k / 8)] widths w of gaps, 1 .. 15;
   * without part 18: bit stream of the m ids in as many bits as V - 1 has (at least 1); mode 0: f32 [m] logits;
   * mode 1: f32 [n] first logits; gap blocks; varints of the escapes, in the order of the gaps.
   * Rows are in falling order of logits. Gap j = 0 .. of a row: steps g from logit j-1 down to logit j, 0 for j = 0. Gaps 8i .. 8i+7 of a
   * row are a bit stream of w[i] bits each; all ones mean g = 2^w[i] - 1 + the next escape. logit j = float32(first - (g_0 + ... + g_j) * step).
   * at: varint [n] list lengths; u8 mode; mode 0: f32 logits; modes 1, 2: f32 step, f32 largest error, then mode 1: a grid for each row,
   * mode 2: one for all logits.
   * grid [m]: nothing if m = 0; i32 largest, u8 width 1 .. 24, bit stream of q in width bits each; logit = float32((largest - q) * step).
   */
  'frame': (Buffer);
}
