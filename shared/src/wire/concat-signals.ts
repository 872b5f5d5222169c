import { TandemError } from "../errors/tandem-error.js";
import { type MutableSignal, ROW_PARTS } from "./signal-parts.js";
import type { TeacherSignal } from "./teacher-signal.js";

type Numbers = Float32Array | Uint32Array;

const OTHER_ARRAYS = [
  "topIds",
  "topLogits",
  "atLogits",
  "drawIds",
  "drawCounts",
  "drawWeights",
  "dense",
] as const;

/** Joins the signals of consecutive runs of one sequence, copying.
 * @throws TandemError DATA_LOSS when rows are missing between them or they do not have the same parts. */
export function concatSignals(signals: readonly TeacherSignal[]): TeacherSignal {
  const [first] = signals;
  if (first === undefined) {
    throw new TandemError("INVALID_ARGUMENT", "no signals to join; give at least one");
  }
  if (signals.length === 1) return first;
  const { from, topK, tauCount } = first;
  let count = 0;
  for (const signal of signals) {
    const misfit = partsOf(signal) !== partsOf(first) || signal.from !== from + count;
    if (misfit || signal.topK !== topK || signal.tauCount !== tauCount) {
      throw new TandemError(
        "DATA_LOSS",
        `teacher signal from position ${signal.from} does not continue the one through position ${from + count - 1}, or has other parts`,
      );
    }
    count += signal.count;
  }
  const joined: MutableSignal = { from, count, topK, tauCount };
  if (first.logProbs) joined.logProbs = true;
  const arrays = [...ROW_PARTS.map(({ key }) => key), ...OTHER_ARRAYS] as const;
  for (const key of arrays) {
    if (first[key] === undefined) continue;
    Object.assign(joined, { [key]: concatArrays(signals.map((each) => each[key] as Numbers)) });
  }
  for (const key of ["topOffsets", "atOffsets", "drawOffsets"] as const) {
    if (first[key] === undefined) continue;
    joined[key] = concatOffsets(signals.map((each) => each[key] as Uint32Array));
  }
  if (first.hidden !== undefined) {
    joined.hidden = new Map(
      [...first.hidden.keys()].map((layer) => [
        layer,
        concatArrays(signals.map((each) => each.hidden?.get(layer) as Float32Array)),
      ]),
    );
  }
  return joined;
}

/** Names of the parts that are there, layers included. */
function partsOf(signal: TeacherSignal): string {
  const present = Object.entries(signal).filter(([, value]) => value !== undefined);
  const names = present.map(([name]) => name).sort();
  return [...names, ...(signal.hidden?.keys() ?? [])].join();
}

function concatArrays<T extends Numbers>(arrays: readonly T[]): T {
  const size = arrays.reduce((sum, array) => sum + array.length, 0);
  const out = (
    arrays[0] instanceof Uint32Array ? new Uint32Array(size) : new Float32Array(size)
  ) as T;
  let at = 0;
  for (const array of arrays) {
    out.set(array, at);
    at += array.length;
  }
  return out;
}

function concatOffsets(parts: readonly Uint32Array[]): Uint32Array {
  const rows = parts.reduce((sum, offsets) => sum + offsets.length - 1, 0);
  const out = new Uint32Array(rows + 1);
  let at = 0;
  let base = 0;
  for (const offsets of parts) {
    for (let i = 1; i < offsets.length; i++) out[++at] = base + (offsets[i] as number);
    base += offsets[offsets.length - 1] as number;
  }
  return out;
}
