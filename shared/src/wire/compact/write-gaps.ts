import { FrameWriter } from "./frame-writer.js";
import { GAP_GROUP, MAX_GAP_BITS } from "./layout.js";
import { fitsInSteps } from "./quantise.js";

/** Lists as multiples of a step below their first logit. */
export interface Gaps {
  /** u32 [n+1]: where each row's list begins. */
  readonly offsets: Uint32Array;
  /** i32 [m]: steps from the logit before down to this one; 0 for the first of a row. In a buffer that the next call reuses. */
  readonly steps: Int32Array;
  /** Bits of a gap in each group of GAP_GROUP list places. */
  readonly widths: Uint8Array;
}

/** About so many gaps are looked at to choose the widths; more of them no longer change the choice. */
const SAMPLE_SIZE = 1024;

/** What a gap that does not fit its width costs, beside its bytes: a reader's mispredicted branch, in bits. */
const ESCAPE_PENALTY_BITS = 2;

let scratch = new Int32Array(0);
const escapes = new FrameWriter();

/** Quantises lists of falling logits to multiples of `step` below their first; undefined when a row does not fall (or holds NaN), or
 * spans too much. topK: the longest list. */
export function quantiseLists(
  logits: Float32Array,
  offsets: Uint32Array,
  { topK, step }: { readonly topK: number; readonly step: number },
): Gaps | undefined {
  if (scratch.length < logits.length) scratch = new Int32Array(logits.length);
  const steps = scratch;
  const inverse = 1 / step;
  for (let row = 0; row + 1 < offsets.length; row++) {
    const start = offsets[row] as number;
    const end = offsets[row + 1] as number;
    if (start === end) continue;
    const maximum = logits[start] as number;
    if (!fitsInSteps(maximum - (logits[end - 1] as number), step)) return undefined;
    let previous = maximum;
    let before = 0;
    for (let i = start; i < end; i++) {
      const logit = logits[i] as number;
      if (!(logit <= previous)) return undefined;
      previous = logit;
      const distance = ((maximum - logit) * inverse + 0.5) | 0; // rounds, since it is ≥ 0
      steps[i] = distance - before;
      before = distance;
    }
  }
  return { offsets, steps, widths: fitWidths(steps, offsets, topK) };
}

/** Bit lengths that g + 1 may have for a gap g, and one more. */
const LENGTHS = 26;

/** The width of each group that costs least over a sample of the rows. */
function fitWidths(steps: Int32Array, offsets: Uint32Array, topK: number): Uint8Array {
  const widths = new Uint8Array(Math.ceil(topK / GAP_GROUP));
  // [group, bits]: gaps g for which g + 1 has so many bits; such a gap fits a width of as many
  const counts = new Uint32Array(widths.length * LENGTHS);
  const rows = offsets.length - 1;
  const stride = Math.max(1, Math.floor((offsets[rows] as number) / SAMPLE_SIZE));
  for (let row = 0; row < rows; row += stride) {
    const start = offsets[row] as number;
    const end = offsets[row + 1] as number;
    for (let i = start; i < end; i++) {
      const index = ((i - start) >>> 3) * LENGTHS + 32 - Math.clz32((steps[i] as number) + 1);
      counts[index] = (counts[index] as number) + 1;
    }
  }
  for (let group = 0; group < widths.length; group++) widths[group] = cheapestWidth(counts, group);
  return widths;
}

function cheapestWidth(counts: Uint32Array, group: number): number {
  const first = group * LENGTHS;
  let total = 0;
  for (let i = first; i < first + LENGTHS; i++) total += counts[i] as number;
  let escaped = 0;
  let least = Infinity;
  let best = 1;
  for (let width = LENGTHS - 2; width >= 1; width--) {
    const bits = width + 1;
    const varintBytes = bits > 14 ? 3 : bits > 7 ? 2 : 1;
    escaped += (counts[first + bits] as number) * (8 * varintBytes + ESCAPE_PENALTY_BITS);
    const cost = width * total + escaped;
    if (width <= MAX_GAP_BITS && cost < least) {
      least = cost;
      best = width;
    }
  }
  return best;
}

/** Writes the gap blocks, group by group, and the escapes behind them. */
export function writeGapBlocks(writer: FrameWriter, { offsets, steps, widths }: Gaps): void {
  escapes.length = 0;
  writer.reserve(2 * (offsets[offsets.length - 1] as number) + offsets.length);
  const { view } = writer;
  let at = writer.length;
  for (let row = 0; row + 1 < offsets.length; row++) {
    const end = offsets[row + 1] as number;
    let group = 0;
    for (let i = offsets[row] as number; i < end; i += GAP_GROUP) {
      const width = widths[group++] as number;
      const mask = (1 << width) - 1;
      if (i + GAP_GROUP <= end && width <= 8) {
        let a = steps[i] as number;
        let b = steps[i + 1] as number;
        let c = steps[i + 2] as number;
        let d = steps[i + 3] as number;
        let e = steps[i + 4] as number;
        let f = steps[i + 5] as number;
        let g = steps[i + 6] as number;
        let h = steps[i + 7] as number;
        const below =
          (a - mask) &
          (b - mask) &
          (c - mask) &
          (d - mask) &
          ((e - mask) & (f - mask) & (g - mask) & (h - mask));
        if (below >= 0) {
          if (a >= mask) a = escape(a, mask);
          if (b >= mask) b = escape(b, mask);
          if (c >= mask) c = escape(c, mask);
          if (d >= mask) d = escape(d, mask);
          if (e >= mask) e = escape(e, mask);
          if (f >= mask) f = escape(f, mask);
          if (g >= mask) g = escape(g, mask);
          if (h >= mask) h = escape(h, mask);
        }
        const low = a | (b << width) | (c << (2 * width)) | (d << (3 * width));
        const high = e | (f << width) | (g << (2 * width)) | (h << (3 * width));
        // two shifts, for 4 · width may be 32
        view.setInt32(at, low | ((high << (4 * width - 1)) << 1), true);
        view.setInt32(at + 4, high >>> (32 - 4 * width), true);
        at += width;
        continue;
      }
      at = writeGroup(writer, at, { steps, start: i, end: Math.min(i + GAP_GROUP, end), width });
    }
  }
  writer.length = at;
  writer.array(escapes.bytes.subarray(0, escapes.length));
}

/** Notes what is beyond the mask; what stands in the block for it. */
function escape(gap: number, mask: number): number {
  escapes.varint(gap - mask);
  return mask;
}

interface Group {
  readonly steps: Int32Array;
  readonly start: number;
  readonly end: number;
  readonly width: number;
}

/** A group with escapes, or one that is not whole, or wide; returns the byte behind it. */
function writeGroup({ bytes }: FrameWriter, first: number, group: Group): number {
  const { steps, start, end, width } = group;
  const mask = (1 << width) - 1;
  let at = first;
  let pending = 0;
  let fill = 0;
  for (let i = start; i < end; i++) {
    const gap = steps[i] as number;
    pending |= (gap >= mask ? escape(gap, mask) : gap) << fill;
    fill += width; // at most 7 + 15
    for (; fill >= 8; fill -= 8) {
      bytes[at++] = pending;
      pending >>>= 8;
    }
  }
  if (fill > 0) bytes[at++] = pending;
  return at;
}
