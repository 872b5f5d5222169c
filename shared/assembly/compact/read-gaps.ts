import { firstLanes, readHigh, readLow } from "./groups";
import { MAX_STEPS } from "./layout";
import { BITS, CHUNK_ENTRIES, ESCAPES, LOGITS, MAXIMA, OFFSETS, WIDTHS } from "./memory";

const SOUND: i32 = 0;
export const ESCAPE_DAMAGED: i32 = 1;
export const SPAN_TOO_LARGE: i32 = 2;

/** Steps from the first logit of the list that was read last down to the last one read, in every lane. */
let steps = i32x4.splat(0);
/** Where the next escape begins, and where they end. */
let escape: usize = ESCAPES;
let escapesEnd: usize = ESCAPES;
let isEscapeDamaged: bool = false;

/** Steps that the last list spans. */
export function readSteps(): u32 {
  return i32x4.extract_lane(steps, 0);
}

/** Bytes of escapes read; where they are damaged, those before. */
export function readEscapeBytes(): usize {
  return escape - ESCAPES;
}

/** For each group of a list with escapes, where its gaps are and which of the eight are escapes (u32 [groups, 2]). */
const ESCAPED: usize = memory.data(8 * (CHUNK_ENTRIES / 8 + 1), 16);
let escapedEnd: usize = ESCAPED;

/** Reads the gap blocks of lists from BITS and the escapes of the groups that have some from ESCAPES, as far as they are sound, into LOGITS.
 * isContinued: the one list there is goes on where the last call ended. */
export function readGaps(rows: i32, stepSize: f64, escapeBytes: usize, isContinued: bool): i32 {
  const step = f64x2.splat(stepSize);
  let group = BITS;
  let logits = LOGITS;
  escape = ESCAPES;
  escapesEnd = ESCAPES + escapeBytes;
  isEscapeDamaged = false;
  if (!isContinued) steps = i32x4.splat(0);
  for (let row = 0; row < rows; row++) {
    const length = load<i32>(OFFSETS + 4 * row, 4) - load<i32>(OFFSETS + 4 * row);
    group = readList(group, length, logits);
    addEscapes();
    if (isEscapeDamaged) return ESCAPE_DAMAGED;
    const maximum = f64x2.splat(<f64>load<f32>(MAXIMA + 4 * row));
    const end = logits + 4 * length;
    let before = row === 0 ? steps : i32x4.splat(0);
    for (; logits < end; logits += 32) {
      const low = runningSum(v128.load(logits));
      const high = i32x4.add(runningSum(v128.load(logits, 16)), lastLane(low));
      v128.store(logits, toLogits(i32x4.add(low, before), step, maximum));
      v128.store(logits, toLogits(i32x4.add(high, before), step, maximum), 16);
      before = i32x4.add(before, lastLane(high));
    }
    logits = end;
    steps = before;
    if (readSteps() > MAX_STEPS) return SPAN_TOO_LARGE;
  }
  return SOUND;
}

/** Reads a list's groups to where its logits will be, and notes escapes: to branch where one is found would be mispredicted too often.
 * The end of its blocks. */
function readList(blocks: usize, length: i32, gaps: usize): usize {
  let group = blocks;
  let at = gaps;
  let widths = WIDTHS;
  let escaped = ESCAPED;
  for (let left = length; left > 0; left -= 8) {
    const width = <i32>load<u8>(widths++);
    let low = readLow(group, width);
    let high = readHigh(group, width);
    group += width;
    if (left < 8) {
      low = v128.and(low, firstLanes(left));
      high = v128.and(high, firstLanes(left - 4));
      group += ((left * width + 7) >>> 3) - width;
    }
    v128.store(at, low);
    v128.store(at, high, 16);
    const ones = i32x4.splat((1 << width) - 1);
    const lanes = i32x4.bitmask(i32x4.eq(low, ones)) | (i32x4.bitmask(i32x4.eq(high, ones)) << 4);
    store<usize>(escaped, at);
    store<i32>(escaped, lanes, 4);
    escaped += (<usize>(lanes !== 0)) << 3;
    at += 32;
  }
  escapedEnd = escaped;
  return group;
}

/** Adds what escapes say to the gaps of the list. */
function addEscapes(): void {
  for (let escaped = ESCAPED; escaped < escapedEnd; escaped += 8) {
    let lanes = load<i32>(escaped, 4);
    do {
      const gap = load<usize>(escaped) + 4 * ctz(lanes);
      store<u32>(gap, load<u32>(gap) + readEscape());
      lanes &= lanes - 1;
    } while (lanes !== 0);
  }
}

/** The next varint; or it says that there is none below MAX_STEPS, and stays before it. */
function readEscape(): u32 {
  let value: u64 = 0;
  let at = escape;
  for (let shift: u64 = 0; shift < 35 && at < escapesEnd; shift += 7) {
    const byte = <u64>load<u8>(at++);
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      if (value > MAX_STEPS) break;
      escape = at;
      return <u32>value;
    }
  }
  isEscapeDamaged = true;
  return 0;
}

/** Each lane and all before it. */
function runningSum(gaps: v128): v128 {
  const zero = i32x4.splat(0);
  const pairs = i32x4.add(gaps, i32x4.shuffle(zero, gaps, 0, 4, 5, 6));
  return i32x4.add(pairs, i32x4.shuffle(zero, pairs, 0, 1, 4, 5));
}

function lastLane(lanes: v128): v128 {
  return i32x4.shuffle(lanes, lanes, 3, 3, 3, 3);
}

/** maximum − steps · step in f64, rounded to f32 once. */
function toLogits(lanes: v128, step: v128, maximum: v128): v128 {
  const upper = i32x4.shuffle(lanes, lanes, 2, 3, 2, 3);
  const low = f64x2.sub(maximum, f64x2.mul(f64x2.convert_low_i32x4_s(lanes), step));
  const high = f64x2.sub(maximum, f64x2.mul(f64x2.convert_low_i32x4_s(upper), step));
  const lows = f32x4.demote_f64x2_zero(low);
  return i32x4.shuffle(lows, f32x4.demote_f64x2_zero(high), 0, 1, 4, 5);
}
