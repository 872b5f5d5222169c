import { firstLanes, readHigh, readLow, writeGroup } from "./groups";
import { BITS, NUMBERS } from "./memory";

/** Reads ids of `width` bits from BITS into NUMBERS; the largest of them. */
export function readIds(count: i32, width: i32): u32 {
  let largest = i32x4.splat(0);
  let group = BITS;
  let ids = NUMBERS;
  for (let left = count; left > 0; left -= 8) {
    let low = readLow(group, width);
    let high = readHigh(group, width);
    if (left < 8) {
      low = v128.and(low, firstLanes(left));
      high = v128.and(high, firstLanes(left - 4));
    }
    largest = i32x4.max_u(largest, i32x4.max_u(low, high));
    v128.store(ids, low);
    v128.store(ids, high, 16);
    group += width;
    ids += 32;
  }
  return largestLane(largest);
}

/** Writes ids from NUMBERS to BITS; the largest of them: what is written holds only if `width` bits can hold it. */
export function writeIds(count: i32, width: i32): u32 {
  let largest = i32x4.splat(0);
  let group = BITS;
  let ids = NUMBERS;
  for (let left = count; left > 0; left -= 8) {
    let low = v128.load(ids);
    let high = v128.load(ids, 16);
    if (left < 8) {
      low = v128.and(low, firstLanes(left));
      high = v128.and(high, firstLanes(left - 4));
    }
    largest = i32x4.max_u(largest, i32x4.max_u(low, high));
    writeGroup(group, low, high, width);
    group += width;
    ids += 32;
  }
  return largestLane(largest);
}

function largestLane(lanes: v128): u32 {
  const pairs = i32x4.max_u(lanes, i32x4.shuffle(lanes, lanes, 2, 3, 0, 1));
  return i32x4.extract_lane(i32x4.max_u(pairs, i32x4.shuffle(pairs, pairs, 1, 0, 3, 2)), 0);
}
