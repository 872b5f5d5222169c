import type { FrameWriter } from "./frame-writer.js";
import { ESCAPE_QUOTIENT, ESCAPE_VALUE_BITS, MAX_RICE_BITS } from "./layout.js";
import { fitsInSteps } from "./quantise.js";

export interface Gaps {
  /** i32 [n, k−1]: steps from one logit down to the next. In a buffer that the next call reuses. */
  readonly steps: Int32Array;
  readonly topK: number;
  /** Rice parameter of each range 2^z ≤ j < 2^(z+1) of list indices. */
  readonly parameters: Uint8Array;
}

let scratch = new Int32Array(0);

/** Number of ranges 2^z ≤ j < 2^(z+1) for 1 ≤ j < k. */
export function zoneCount(topK: number): number {
  return 32 - Math.clz32(topK - 1);
}

/** Quantises lists [n, k] of falling logits to multiples of `step` below their first; undefined when a row does not fall (or holds
 * NaN), or spans too much. */
export function quantiseLists(logits: Float32Array, topK: number, step: number): Gaps | undefined {
  const rows = logits.length / topK;
  const size = rows * (topK - 1);
  if (scratch.length < size) scratch = new Int32Array(size);
  const steps = scratch.subarray(0, size);
  const zones = zoneCount(topK);
  const sums = new Float64Array(zones);
  const inverse = 1 / step;
  for (let row = 0; row < rows; row++) {
    const start = row * topK;
    const maximum = logits[start] as number;
    if (!fitsInSteps(maximum - (logits[start + topK - 1] as number), step)) return undefined;
    let previous = maximum;
    let before = 0;
    for (let zone = 0; zone < zones; zone++) {
      const first = before;
      const end = start + Math.min(topK, 2 << zone);
      for (let i = start + (1 << zone); i < end; i++) {
        const logit = logits[i] as number;
        if (!(logit <= previous)) return undefined;
        previous = logit;
        const distance = ((maximum - logit) * inverse + 0.5) | 0; // rounds, since it is ≥ 0
        steps[i - row - 1] = distance - before;
        before = distance;
      }
      sums[zone] = (sums[zone] as number) + before - first;
    }
  }
  const parameters = new Uint8Array(zones);
  for (let zone = 0; zone < zones; zone++) {
    const width = Math.min(topK, 2 << zone) - (1 << zone);
    parameters[zone] = bestParameter((sums[zone] as number) / Math.max(1, rows * width));
  }
  return { steps, topK, parameters };
}

/** The Rice parameter of least expected length for numbers with this mean. */
function bestParameter(mean: number): number {
  let least = mean;
  let bits = 0;
  for (let scale = 0.5; bits < MAX_RICE_BITS; scale /= 2) {
    // expected quotient, the remainder being uniform: mean/2^b − (1 − 2^−b)/2
    const length = bits + 1 + Math.max(0, mean * scale - (1 - scale) / 2);
    if (length >= least) break;
    least = length;
    bits++;
  }
  return bits;
}

/** Stands for "no gap": never short. */
const NO_GAP = -1;

/** Writes the gaps' Rice codes: quotient in unary (zeros, then a one), then the low bits; quotients of 16 and more are escaped. */
export function writeGapBits(writer: FrameWriter, { steps, topK, parameters }: Gaps): void {
  // the longest code has 40 bits
  writer.reserve(5 * steps.length);
  const { words } = writer;
  const row = topK - 1;
  let word = writer.length >>> 2;
  let fill = (writer.length & 3) << 3;
  let pending = (words[word] as number) & ((1 << fill) - 1);
  for (let start = 0; start < steps.length; start += row) {
    for (let zone = 0; zone < parameters.length; zone++) {
      const parameter = parameters[zone] as number;
      const mask = (1 << parameter) - 1;
      const end = start + Math.min(topK, 2 << zone) - 1;
      for (let i = start + (1 << zone) - 1; i < end; i++) {
        const gap = steps[i] as number;
        const quotient = gap >>> parameter;
        let bits = (1 << quotient) | ((gap & mask) << (quotient + 1));
        let size = quotient + 1 + parameter; // at most 15 + 1 + 15
        const next = i + 1 < end ? (steps[i + 1] as number) : NO_GAP;
        const nextQuotient = next >>> parameter;
        if ((quotient | nextQuotient) < 8 && parameter < 8) {
          // two short codes (at most 30 bits) for the price of one
          bits |= ((1 << nextQuotient) | ((next & mask) << (nextQuotient + 1))) << size;
          size += nextQuotient + 1 + parameter;
          i++;
        } else if (quotient >= ESCAPE_QUOTIENT) {
          words[word] = pending;
          fill += ESCAPE_QUOTIENT;
          if (fill >= 32) {
            word++;
            pending = 0;
            fill -= 32;
          }
          bits = gap;
          size = ESCAPE_VALUE_BITS;
        }
        words[word] = pending |= bits << fill;
        fill += size;
        const full = fill >>> 5;
        fill &= 31;
        word += full;
        pending = (pending & (full - 1)) | ((bits >>> (size - fill)) & -full);
      }
    }
  }
  words[word] = pending;
  writer.length = (word << 2) + ((fill + 7) >>> 3);
}
