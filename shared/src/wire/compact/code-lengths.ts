import { MAX_CODE_BITS } from "./layout.js";

/** Lengths of a Huffman code for symbols with these counts (0 = unused, length 0), none above MAX_CODE_BITS.
 * A lone symbol gets one bit. When a code comes out too long, counts are halved until it fits (as bzip2 does). */
export function codeLengths(counts: Uint32Array): Uint8Array {
  const weights = new Float64Array(2 * counts.length);
  weights.set(counts);
  const lengths = new Uint8Array(counts.length);
  while (huffmanLengths(weights, lengths) > MAX_CODE_BITS) {
    for (let i = 0; i < counts.length; i++) {
      if (weights[i] !== 0) weights[i] = Math.floor((weights[i] as number) / 2) + 1;
    }
  }
  return lengths;
}

/** Fills `lengths` and returns the longest. weights holds the symbols' weights and room for as many inner nodes. */
function huffmanLengths(weights: Float64Array, lengths: Uint8Array): number {
  const symbols = lengths.length;
  const parents = new Int32Array(2 * symbols);
  // nodes without a parent; there are few, so that looking at all of them beats a heap
  const open: number[] = [];
  for (let i = 0; i < symbols; i++) if ((weights[i] as number) > 0) open.push(i);
  if (open.length === 1) {
    lengths[open[0] as number] = 1;
    return 1;
  }
  let node = symbols;
  while (open.length > 1) {
    const first = takeLightest(open, weights);
    const second = takeLightest(open, weights);
    parents[first] = node;
    parents[second] = node;
    weights[node] = (weights[first] as number) + (weights[second] as number);
    open.push(node++);
  }
  let longest = 0;
  for (let i = 0; i < symbols; i++) {
    let depth = 0;
    if ((weights[i] as number) > 0) {
      for (let up = parents[i] as number; up !== 0; up = parents[up] as number) depth++;
    }
    lengths[i] = depth;
    longest = Math.max(longest, depth);
  }
  return longest;
}

function takeLightest(open: number[], weights: Float64Array): number {
  let best = 0;
  for (let i = 1; i < open.length; i++) {
    if ((weights[open[i] as number] as number) < (weights[open[best] as number] as number))
      best = i;
  }
  const node = open[best] as number;
  open[best] = open[open.length - 1] as number;
  open.pop();
  return node;
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
