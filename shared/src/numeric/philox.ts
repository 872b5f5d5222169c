/** Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
 * A number depends on its key and counter alone, so it is the same on every replica, after every restart and in every batch. */

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;
const ROUNDS = 10;
/** Second key word of every generator in Tandem: "TAND". */
export const KEY_TAG = 0x54414e44;

/** Third counter word. Two uses never share a uniform. */
export const RANDOM_STREAMS = { draft: 0, replacement: 1, draws: 2, coin: 3 } as const;
export type RandomStream = keyof typeof RANDOM_STREAMS;

export interface RandomPoint {
  /** u32. */
  readonly runSeed: number;
  /** u32, see `rngKeyOf`. */
  readonly rngKey: number;
  /** Position relative to the response: its first token is 0. */
  readonly position: number;
  readonly stream: RandomStream;
  /** Which of several numbers at one point; 0 unless said otherwise. */
  readonly index?: number;
}

/** Upper 32 bits of the 64-bit product of two u32, from 16-bit halves (every partial sum is below 2^32). */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const cross = (middle & 0xffff) + aLow * bHigh;
  return (aHigh * bHigh + (middle >>> 16) + (cross >>> 16)) >>> 0;
}

/** Four u32 words for a counter of four and a key of two u32 words, written to `out`. */
export function philox4x32(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
  out: Uint32Array = new Uint32Array(4),
): Uint32Array {
  let c0 = counter[0] >>> 0;
  let c1 = counter[1] >>> 0;
  let c2 = counter[2] >>> 0;
  let c3 = counter[3] >>> 0;
  let k0 = key[0] >>> 0;
  let k1 = key[1] >>> 0;
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = multiplyHigh(MULTIPLIER_0, c0);
    const high1 = multiplyHigh(MULTIPLIER_1, c2);
    const low0 = Math.imul(MULTIPLIER_0, c0) >>> 0;
    const low1 = Math.imul(MULTIPLIER_1, c2) >>> 0;
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0;
    k0 = (k0 + WEYL_0) >>> 0;
    k1 = (k1 + WEYL_1) >>> 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
  return out;
}

const words = new Uint32Array(4);

/** The uniform number in [0, 1), a multiple of 2^-53, that belongs to a point:
 * ((w0 >>> 5)·2^26 + (w1 >>> 6)) / 2^53 with w = philox4x32((rngKey, position, stream, index), (runSeed, KEY_TAG)). */
export function uniformAt(point: RandomPoint): number {
  philox4x32(
    [point.rngKey, point.position, RANDOM_STREAMS[point.stream], point.index ?? 0],
    [point.runSeed, KEY_TAG],
    words,
  );
  return (((words[0] as number) >>> 5) * 0x4000000 + ((words[1] as number) >>> 6)) / 2 ** 53;
}
