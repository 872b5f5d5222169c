/** Groups of eight numbers of one width, 1 to 24 bits: a bit stream of as many bytes as a number has bits. Ids and gaps both lie so. A group is
 * read and written as two halves of four. */
import { WIDEST } from "./layout";

/** By width, for either half: the bytes in which each of its four numbers lies (u8 [16]), and what shifts it to the top of a lane by
 * multiplication, since lanes cannot be shifted by different amounts (u32 [4]). */
const HALVES: usize = memory.data(64 * (WIDEST + 1), 16);

for (let width = 1; width <= WIDEST; width++) {
  for (let place = 0; place < 8; place++) {
    const half = HALVES + 64 * width + 32 * (place >>> 2);
    const lane = place & 3;
    const bit = halfStart(width, place >>> 2) + lane * width;
    for (let i = 0; i < 4; i++) store<u8>(half + 4 * lane + i, <u8>((bit >>> 3) + i));
    store<u32>(half + 16 + 4 * lane, 1 << (32 - width - (bit & 7)));
  }
}

/** The bit of its first byte with which a half begins. */
function halfStart(width: i32, half: i32): i32 {
  return half * ((4 * width) & 7);
}

export function readLow(group: usize, width: i32): v128 {
  return readHalf(group, HALVES + 64 * width, width);
}

export function readHigh(group: usize, width: i32): v128 {
  return readHalf(group + (width >>> 1), HALVES + 64 * width + 32, width);
}

function readHalf(bytes: usize, half: usize, width: i32): v128 {
  const lanes = i8x16.swizzle(v128.load(bytes), v128.load(half));
  return i32x4.shr_u(i32x4.mul(lanes, v128.load(half, 16)), 32 - width);
}

/** Writes two halves of numbers below 2^width. What lies behind the group is overwritten: groups are written in their order. */
export function writeGroup(group: usize, low: v128, high: v128, width: i32): void {
  const middle = group + (width >>> 1);
  const start = halfStart(width, 1);
  writeHalf(group, inPairs(low, width), width, 0);
  const shared = (<u64>load<u8>(middle)) & ((1 << start) - 1);
  writeHalf(middle, i64x2.shl(inPairs(high, width), start), width, shared);
}

/** Two numbers to a lane. */
function inPairs(numbers: v128, width: i32): v128 {
  const first = v128.and(numbers, i64x2.splat(0xffffffff));
  return v128.or(first, i64x2.shl(i64x2.shr_u(numbers, 32), width));
}

/** shared: the bits of the first byte that are the half's before it. */
function writeHalf(bytes: usize, pairs: v128, width: i32, shared: u64): void {
  const first = i64x2.extract_lane(pairs, 0);
  const second = i64x2.extract_lane(pairs, 1);
  store<u64>(bytes, shared | first | (second << (2 * width)));
  store<u64>(bytes, second >>> (64 - 2 * width), 8);
}

/** All ones in the first `count` of four lanes. */
export function firstLanes(count: i32): v128 {
  return i32x4.gt_s(i32x4.splat(count), i32x4(0, 1, 2, 3));
}
