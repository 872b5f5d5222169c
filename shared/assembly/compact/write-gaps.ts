import { firstLanes, writeGroup } from "./groups";
import { BITS, COUNTS, ESCAPES, LENGTHS, LOGITS, MAXIMA, NUMBERS, OFFSETS, WIDTHS } from "./memory";

/** The last logits of the list that was quantised last, and how many steps below its first they are. */
let logitsBefore = f32x4.splat(0);
let stepsBefore = i32x4.splat(0);

/** Quantises lists of falling logits, from LOGITS to gaps in NUMBERS; false when one does not fall or holds NaN.
 * isContinued: the one list there is goes on where the last call ended. */
export function quantise(rows: i32, inverseStep: f64, isContinued: bool): bool {
  const inverse = f64x2.splat(inverseStep);
  let logits = LOGITS;
  let gaps = NUMBERS;
  let isFalling = i32x4.splat(-1);
  for (let row = 0; row < rows; row++) {
    const first = load<f32>(MAXIMA + 4 * row);
    const maximum = f64x2.splat(<f64>first);
    const length = load<i32>(OFFSETS + 4 * row, 4) - load<i32>(OFFSETS + 4 * row);
    const end = 4 * length;
    if (!isContinued) {
      logitsBefore = f32x4.splat(first);
      stepsBefore = i32x4.splat(0);
    }
    let before = logitsBefore;
    let stepsAbove = stepsBefore;
    for (let at = 0; at < end; at += 16) {
      const current = v128.load(logits + at);
      let falls = f32x4.le(current, i32x4.shuffle(before, current, 3, 4, 5, 6));
      // the next list's logits are none of this one's
      if (end - at < 16) falls = v128.or(falls, v128.not(firstLanes((end - at) >>> 2)));
      isFalling = v128.and(isFalling, falls);
      const steps = toSteps(current, inverse, maximum);
      v128.store(gaps + at, i32x4.sub(steps, i32x4.shuffle(stepsAbove, steps, 3, 4, 5, 6)));
      before = current;
      stepsAbove = steps;
    }
    logitsBefore = before;
    stepsBefore = stepsAbove;
    logits += end;
    gaps += end;
  }
  return i32x4.all_true(isFalling);
}

/** (maximum − logit) · inverse in f64, rounded: it is ≥ 0. */
function toSteps(logits: v128, inverse: v128, maximum: v128): v128 {
  const upper = i32x4.shuffle(logits, logits, 2, 3, 2, 3);
  const low = f64x2.mul(f64x2.sub(maximum, f64x2.promote_low_f32x4(logits)), inverse);
  const high = f64x2.mul(f64x2.sub(maximum, f64x2.promote_low_f32x4(upper)), inverse);
  const half = f64x2.splat(0.5);
  const lows = i32x4.trunc_sat_f64x2_s_zero(f64x2.add(low, half));
  return i32x4.shuffle(lows, i32x4.trunc_sat_f64x2_s_zero(f64x2.add(high, half)), 0, 1, 4, 5);
}

/** Adds the gaps that `quantise` left in NUMBERS to COUNTS. */
export function countLengths(rows: i32): void {
  let gaps = NUMBERS;
  for (let row = 0; row < rows; row++) {
    const length = load<i32>(OFFSETS + 4 * row, 4) - load<i32>(OFFSETS + 4 * row);
    for (let place = 0; place < length; place++) {
      const bits = 32 - clz(load<u32>(gaps) + 1);
      const count = COUNTS + 4 * (LENGTHS * (place >>> 3) + bits);
      store<u32>(count, load<u32>(count) + 1);
      gaps += 4;
    }
  }
}

/** Where the next escape goes. */
let escape: usize = ESCAPES;

/** Bytes of escapes written. */
export function writtenEscapeBytes(): usize {
  return escape - ESCAPES;
}

/** Writes the gaps that `quantise` left in NUMBERS as gap blocks to BITS, and what is beyond their widths to ESCAPES; bytes of blocks. */
export function writeGaps(rows: i32): usize {
  escape = ESCAPES;
  let group = BITS;
  let gaps = NUMBERS;
  for (let row = 0; row < rows; row++) {
    const length = load<i32>(OFFSETS + 4 * row, 4) - load<i32>(OFFSETS + 4 * row);
    const end = gaps + 4 * length;
    let widths = WIDTHS;
    for (let left = length; left > 0; left -= 8) {
      const width = <i32>load<u8>(widths++);
      let low = v128.load(gaps);
      let high = v128.load(gaps, 16);
      if (left < 8) {
        low = v128.and(low, firstLanes(left));
        high = v128.and(high, firstLanes(left - 4));
      }
      const ones = i32x4.splat((1 << width) - 1);
      const lowEscapes = i32x4.ge_s(low, ones);
      const highEscapes = i32x4.ge_s(high, ones);
      if (v128.any_true(v128.or(lowEscapes, highEscapes))) {
        const lanes = i32x4.bitmask(lowEscapes) | (i32x4.bitmask(highEscapes) << 4);
        writeEscapes(gaps, lanes, (1 << width) - 1);
        low = i32x4.min_s(low, ones);
        high = i32x4.min_s(high, ones);
      }
      writeGroup(group, low, high, width);
      group += left < 8 ? (left * width + 7) >>> 3 : width;
      gaps += 32;
    }
    gaps = end;
  }
  return group - BITS;
}

/** Notes how far the gaps in whose bits `lanes` has a one are beyond what stands in their block. */
function writeEscapes(gaps: usize, lanes: i32, ones: u32): void {
  do {
    let rest = load<u32>(gaps + 4 * ctz(lanes)) - ones;
    for (; rest > 0x7f; rest >>>= 7) store<u8>(escape++, <u8>(rest | 0x80));
    store<u8>(escape++, <u8>rest);
    lanes &= lanes - 1;
  } while (lanes !== 0);
}
