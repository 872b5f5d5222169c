// Original file: proto/tandem/v1/signal.proto


export interface CompactSignal {
  /**
   * Little-endian throughout. varint: LEB128 below 2^32. Nibbles: two to a byte, first in the low half. Bit streams: start at a byte, fill
   * bytes from the least significant bit, low bits of a number first, padded to a byte. The same with examples: docs/wire-format.md.
   * 
   * "TSF", u8 version 1, u16 parts, varint from, varint n, varint k, varint J, varint V (< 2^24),
   * the parts in the order of their bits, u32 CRC-32C (Castagnoli) of all before it.
   * 
   * 0 top (below)   1 lse f32 [n]   2 log_tail f32 [n]   3 taus: u8 0, f32 [n,J]; or u8 1, f32 [J] for every row   4 lse_at f32 [n,J]
   * 5 log_tail_at f32 [n,J]   6 token_logit f32 [n]   7 rank varint [n]   8 at (below)   9 mean_logit, 10 max_logit, 11 entropy f32 [n]
   * 12 draws: varint [n] list lengths; then for each id, rising: varint id - the one before - 1 (before the first: -1), varint count - 1
   * 13 dense: u8 1, f16 [n,V]; or u8 2, f32 [n,V]   14 hidden: varint layers; for each varint layer, varint D, f16 [n,D]
   * 
   * top: u8 C <= 24; nibbles [C] code length of each class (0 = absent, <= 8); u8 mode;
   * mode 1 only: f32 step, f32 largest error, nibbles [Z] Rice parameters b, Z = bit length of k - 1;
   * u32 bytes of the id stream; id stream; mode 0: f32 [n,k] logits; mode 1: f32 [n] first logits, gap stream.
   * Rows are in falling order of logits. Id: with x = id + 1, c = floor(log2 x): the canonical Huffman code of c (RFC 1951 3.2.2, most
   * significant bit first), then the c bits of x below its leading one. Gap j = 1..k-1 of a row: steps g from logit j-1 down to logit j;
   * with b = b[floor(log2 j)]: (g >> b) zeros, a one, the b low bits of g; or, if g >> b >= 16, sixteen zeros and g in 24 bits.
   * logit j = float32(first - (g_1 + ... + g_j) * step).
   * at: varint [n] list lengths; u8 mode; mode 0: f32 logits; mode 1: f32 step, f32 largest error, then for each row that is not empty:
   * f32 largest logit, u8 width, bit stream of q in width bits each; logit = float32(largest - q * step).
   */
  'frame'?: (Buffer | Uint8Array | string);
}

export interface CompactSignal__Output {
  /**
   * Little-endian throughout. varint: LEB128 below 2^32. Nibbles: two to a byte, first in the low half. Bit streams: start at a byte, fill
   * bytes from the least significant bit, low bits of a number first, padded to a byte. The same with examples: docs/wire-format.md.
   * 
   * "TSF", u8 version 1, u16 parts, varint from, varint n, varint k, varint J, varint V (< 2^24),
   * the parts in the order of their bits, u32 CRC-32C (Castagnoli) of all before it.
   * 
   * 0 top (below)   1 lse f32 [n]   2 log_tail f32 [n]   3 taus: u8 0, f32 [n,J]; or u8 1, f32 [J] for every row   4 lse_at f32 [n,J]
   * 5 log_tail_at f32 [n,J]   6 token_logit f32 [n]   7 rank varint [n]   8 at (below)   9 mean_logit, 10 max_logit, 11 entropy f32 [n]
   * 12 draws: varint [n] list lengths; then for each id, rising: varint id - the one before - 1 (before the first: -1), varint count - 1
   * 13 dense: u8 1, f16 [n,V]; or u8 2, f32 [n,V]   14 hidden: varint layers; for each varint layer, varint D, f16 [n,D]
   * 
   * top: u8 C <= 24; nibbles [C] code length of each class (0 = absent, <= 8); u8 mode;
   * mode 1 only: f32 step, f32 largest error, nibbles [Z] Rice parameters b, Z = bit length of k - 1;
   * u32 bytes of the id stream; id stream; mode 0: f32 [n,k] logits; mode 1: f32 [n] first logits, gap stream.
   * Rows are in falling order of logits. Id: with x = id + 1, c = floor(log2 x): the canonical Huffman code of c (RFC 1951 3.2.2, most
   * significant bit first), then the c bits of x below its leading one. Gap j = 1..k-1 of a row: steps g from logit j-1 down to logit j;
   * with b = b[floor(log2 j)]: (g >> b) zeros, a one, the b low bits of g; or, if g >> b >= 16, sixteen zeros and g in 24 bits.
   * logit j = float32(first - (g_1 + ... + g_j) * step).
   * at: varint [n] list lengths; u8 mode; mode 0: f32 logits; mode 1: f32 step, f32 largest error, then for each row that is not empty:
   * f32 largest logit, u8 width, bit stream of q in width bits each; logit = float32(largest - q * step).
   */
  'frame': (Buffer);
}
