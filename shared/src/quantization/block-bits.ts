/** How far the range of a block is narrowed in search of the smallest squared error: few large weights are cut off where that
 * makes the many small ones finer. */
const RANGES = [1, 0.9, 0.8, 0.7];

export interface QuantizedBlocks {
  /** [out, blocks, block·bits/8], low bits first. */
  readonly values: Uint8Array;
  /** [out·blocks]. */
  readonly scales: Float32Array;
  /** [out·⌈blocks·bits/8⌉], low bits first. */
  readonly zeroPoints: Uint8Array;
}

/** A weight matrix as `BlockBits` stores it: w ≈ (q − zeroPoint)·scale for each run of `block` inputs, the last one padded with zeros.
 * weight: f32 [out,in]. */
export function quantizeBlocks(
  weight: Float32Array,
  {
    outputs,
    bits,
    block,
  }: { readonly outputs: number; readonly bits: 4 | 8; readonly block: number },
): QuantizedBlocks {
  const inputs = weight.length / outputs;
  const blocks = Math.ceil(inputs / block);
  const perByte = 8 / bits;
  const levels = (1 << bits) - 1;
  const values = new Uint8Array((outputs * blocks * block) / perByte);
  const scales = new Float32Array(outputs * blocks);
  const pointBytes = Math.ceil(blocks / perByte);
  const zeroPoints = new Uint8Array(outputs * pointBytes);
  const padded = new Float32Array(block);
  for (let o = 0; o < outputs; o++) {
    for (let b = 0; b < blocks; b++) {
      const begin = o * inputs + b * block;
      padded.fill(0);
      padded.set(weight.subarray(begin, Math.min(begin + block, (o + 1) * inputs)));
      const at = o * blocks + b;
      const { scale, zero } = bestGrid(padded, bits);
      scales[at] = scale;
      zeroPoints[o * pointBytes + Math.floor(b / perByte)]! |= zero << (bits * (b % perByte));
      for (let i = 0; i < block; i++) {
        const q = Math.min(levels, Math.max(0, Math.round(padded[i]! / scale) + zero));
        values[Math.floor((at * block + i) / perByte)]! |= q << (bits * (i % perByte));
      }
    }
  }
  return { values, scales, zeroPoints };
}

interface Grid {
  readonly scale: number;
  readonly zero: number;
}

/** The grid with the smallest squared error among those that cover the block's range or a part of it. 8 bits cover it all: their steps are fine. */
function bestGrid(values: Float32Array, bits: 4 | 8): Grid {
  const levels = (1 << bits) - 1;
  let low = 0;
  let high = 0;
  for (let i = 0; i < values.length; i++) {
    low = Math.min(low, values[i]!);
    high = Math.max(high, values[i]!);
  }
  if (low === high) return { scale: 1, zero: 0 };
  if (bits === 8) return gridOf(low, high, levels);
  let best: Grid = { scale: 1, zero: 0 };
  let least = Infinity;
  for (const lowPart of RANGES) {
    for (const highPart of RANGES) {
      const grid = gridOf(low * lowPart, high * highPart, levels);
      const error = squaredError(values, grid, { levels, least });
      if (error < least) {
        least = error;
        best = grid;
      }
    }
  }
  return best;
}

/** low ≤ 0 ≤ high: zero itself is a level, so zeros stay zeros. */
function gridOf(low: number, high: number, levels: number): Grid {
  const scale = Math.fround((high - low) / levels);
  return { scale, zero: Math.min(levels, Math.max(0, Math.round(-low / scale))) };
}

/** Σ (w − its level)², given up where it is `least` or more already: the inner loop of quantisation, up to sixteen times per weight.
 * Truncation rounds, since what it cuts is never negative. */
function squaredError(
  values: Float32Array,
  { scale, zero }: Grid,
  { levels, least }: { readonly levels: number; readonly least: number },
): number {
  const inverse = 1 / scale;
  const shift = zero + 0.5;
  const top = levels + 0.5;
  let sum = 0;
  for (let i = 0; i < values.length && sum < least; i++) {
    const value = values[i]!;
    let place = value * inverse + shift;
    if (place < 0) place = 0;
    else if (place > top) place = top;
    const difference = ((place | 0) - zero) * scale - value;
    sum += difference * difference;
  }
  return sum;
}
