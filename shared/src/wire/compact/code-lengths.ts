import { MAX_CODE_BITS } from "./layout.js";

/** Lengths of a Huffman code for symbols with these counts (0 = unused, length 0), none above MAX_CODE_BITS.
 * A lone symbol gets one bit. When a code comes out too long, counts are halved until it fits (as bzip2 does). */
export function codeLengths(counts: Uint32Array): Uint8Array {
  const weights = new Float64Array(2 * counts.length);
  weights.set(counts);
  for (;;) {
    const lengths = huffmanLengths(weights, counts.length);
    if (lengths.every((length) => length <= MAX_CODE_BITS)) return lengths;
    for (let i = 0; i < counts.length; i++) {
      if (weights[i] !== 0) weights[i] = Math.floor((weights[i] as number) / 2) + 1;
    }
  }
}

/** weights holds `symbols` leaf weights and room for as many inner nodes. Few symbols: the two lightest are found by looking at all. */
function huffmanLengths(weights: Float64Array, symbols: number): Uint8Array {
  const parents = new Int32Array(2 * symbols).fill(-1);
  const open = Uint8Array.from(weights, (weight, i) => (i < symbols && weight > 0 ? 1 : 0));
  const lightest = (end: number): number => {
    let best = -1;
    for (let i = 0; i < end; i++) {
      if (open[i] && (best < 0 || (weights[i] as number) < (weights[best] as number))) best = i;
    }
    if (best >= 0) open[best] = 0;
    return best;
  };
  let node = symbols;
  for (let first = lightest(node); first >= 0; first = lightest(node)) {
    const second = lightest(node);
    if (second < 0) {
      if (first < symbols) parents[first] = node; // a lone symbol
      break;
    }
    parents[first] = node;
    parents[second] = node;
    weights[node] = (weights[first] as number) + (weights[second] as number);
    open[node++] = 1;
  }
  const lengths = new Uint8Array(symbols);
  for (let i = 0; i < symbols; i++) {
    for (let up = parents[i] as number; up >= 0; up = parents[up] as number) {
      lengths[i] = (lengths[i] as number) + 1;
    }
  }
  return lengths;
}

/** The canonical code of RFC 1951, section 3.2.2, each code's bits reversed so that it can be written least significant bit first.
 * Undefined when the lengths are not those of a complete prefix code (or of a lone symbol with one bit). */
export function canonicalCodes(lengths: Uint8Array): Uint16Array | undefined {
  const codes = new Uint16Array(lengths.length);
  let next = 0;
  let used = 0;
  for (let length = 1; length <= MAX_CODE_BITS; length++) {
    next <<= 1;
    for (let symbol = 0; symbol < lengths.length; symbol++) {
      if (lengths[symbol] !== length) continue;
      codes[symbol] = reverseBits(next++, length);
      used++;
    }
    if (next > 1 << length) return undefined;
  }
  const complete = next === 1 << MAX_CODE_BITS;
  const lone = used === 1 && lengths.includes(1);
  const known = lengths.every((length) => length <= MAX_CODE_BITS);
  return known && (complete || lone) ? codes : undefined;
}

function reverseBits(value: number, bits: number): number {
  let reversed = 0;
  for (let i = 0; i < bits; i++) reversed |= ((value >>> i) & 1) << (bits - 1 - i);
  return reversed;
}
