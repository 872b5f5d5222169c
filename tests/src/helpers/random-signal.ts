import type { TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";
import { mulberry32 } from "./mulberry32.js";

export interface SignalShape {
  readonly seed: number;
  readonly count: number;
  readonly topK: number;
  readonly tauCount: number;
  readonly vocabSize: number;
  /** Standard deviation of logits. */
  readonly scale: number;
  /** Lists of 1 to k ids, a length for each row. */
  readonly ragged?: boolean;
  /** Log-probabilities; laws have no lse and no tail then. */
  readonly logProbs?: boolean;
  readonly withoutIds?: boolean;
  readonly parts: {
    readonly [part in "law" | "token" | "at" | "moments" | "draws" | "dense" | "hidden"]: boolean;
  } & {
    /** Beside draws. */
    readonly weights?: boolean;
  };
}

function withoutIds<L extends { topIds?: Uint32Array }>(lists: L, shape: SignalShape): L {
  if (shape.withoutIds) delete lists.topIds;
  return lists;
}

/** A signal of random numbers in the right shapes (small deterministic generator: mulberry32). */
export function randomSignal(shape: SignalShape): TeacherSignal {
  const random = mulberry32(shape.seed);
  const { count: n, topK: k, tauCount, vocabSize, parts } = shape;
  const normal = (): number => shape.scale * (random() + random() + random() - 1.5) * 2;
  const floats = (size: number): Float32Array => Float32Array.from({ length: size }, normal);
  const offsets = (most: number, least = 0): Uint32Array => {
    const out = new Uint32Array(n + 1);
    for (let i = 0; i < n; i++)
      out[i + 1] = out[i]! + least + Math.floor(random() * (most - least + 1));
    return out;
  };
  const atOffsets = offsets(7);
  // Empty bytes are a part that is absent: where weights travel every row has a sample.
  const drawOffsets = offsets(Math.min(5, vocabSize), parts.weights ? 1 : 0);
  const positive = (size: number): Uint32Array =>
    Uint32Array.from({ length: size }, () => 1 + Math.floor(random() * 300));
  const whole = {
    ids: topIds(random, n, k, vocabSize),
    logits: fallingRows(floats(n * k), k),
  };
  const lists = { topIds: whole.ids, topLogits: whole.logits };
  return {
    from: 1 + Math.floor(random() * 4000),
    count: n,
    topK: k,
    tauCount,
    ...(shape.logProbs && { logProbs: true }),
    ...(k > 0 && withoutIds(shape.ragged ? cutRows(random, whole, k) : lists, shape)),
    ...(parts.law &&
      !shape.logProbs && { lse: floats(n), logTail: floats(n).fill(-Infinity, 0, 1) }),
    ...(tauCount > 0 && {
      taus: sharedOrNot(random, floats(n * tauCount), tauCount),
      lseAt: floats(n * tauCount),
      ...(k > 0 && { logTailAt: floats(n * tauCount) }),
    }),
    ...(parts.token && {
      tokenLogit: floats(n),
      rank: positive(n).map((r) => (r > 250 ? r * 9999 : r - 1)),
    }),
    ...(parts.at && { atOffsets, atLogits: floats(atOffsets[n]!) }),
    ...(parts.moments && { meanLogit: floats(n), maxLogit: floats(n), entropy: floats(n) }),
    ...(parts.draws && {
      drawOffsets,
      drawIds: risingIds(random, drawOffsets, vocabSize),
      drawCounts: positive(drawOffsets[n]!),
      ...(parts.weights && { drawWeights: floats(drawOffsets[n]!) }),
    }),
    ...(parts.dense && { dense: floats(n * vocabSize) }),
    // values that f16 holds exactly
    ...(parts.hidden && {
      hidden: new Map(
        [0, 5].map((layer) => [layer, floats(n * 3).map((v) => (Math.round(v * 8) % 512) / 8)]),
      ),
    }),
  };
}

/** Low ids more often than high ones, as tokenizers number them; distinct within a row. */
function topIds(random: () => number, rows: number, k: number, vocabSize: number): Uint32Array {
  const ids = new Uint32Array(rows * k);
  for (let row = 0; row < rows; row++) {
    const seen = new Set<number>();
    while (seen.size < k) seen.add(Math.floor(random() ** 3 * vocabSize));
    ids.set([...seen], row * k);
  }
  return ids;
}

function fallingRows(values: Float32Array, k: number): Float32Array {
  for (let i = 0; i < values.length; i += k)
    values
      .subarray(i, i + k)
      .sort()
      .reverse();
  return values;
}

/** The beginnings of rows of k. */
function cutRows(
  random: () => number,
  { ids, logits }: { readonly ids: Uint32Array; readonly logits: Float32Array },
  k: number,
): Pick<TeacherSignal, "topOffsets" | "topIds" | "topLogits"> {
  const lengths = Array.from({ length: ids.length / k }, () => 1 + Math.floor(random() * k));
  const kept = (_: number, i: number) => i % k < lengths[Math.floor(i / k)]!;
  const topOffsets = new Uint32Array(lengths.length + 1);
  lengths.forEach((length, row) => (topOffsets[row + 1] = topOffsets[row]! + length));
  return { topOffsets, topIds: ids.filter(kept), topLogits: logits.filter(kept) };
}

function sharedOrNot(random: () => number, taus: Float32Array, tauCount: number): Float32Array {
  return random() < 0.5 ? taus : taus.map((_, i) => taus[i % tauCount]!);
}

function risingIds(random: () => number, offsets: Uint32Array, vocabSize: number): Uint32Array {
  const rows = [...offsets.subarray(1)].map((end, row) => {
    const seen = new Set<number>();
    while (seen.size < end - offsets[row]!) seen.add(Math.floor(random() * vocabSize));
    return [...seen].sort((a, b) => a - b);
  });
  return Uint32Array.from(rows.flat());
}
