import { TandemError } from "../errors/tandem-error.js";
import type { TeacherSignal } from "./teacher-signal.js";

/** The parts that have the same number of elements in every row, in the order in which they travel. */
export const ROW_PARTS = [
  { key: "lse", element: "f32", width: "one" },
  { key: "logTail", element: "f32", width: "one" },
  { key: "taus", element: "f32", width: "tauCount" },
  { key: "lseAt", element: "f32", width: "tauCount" },
  { key: "logTailAt", element: "f32", width: "tauCount" },
  { key: "tokenLogit", element: "f32", width: "one" },
  { key: "rank", element: "u32", width: "one" },
  { key: "meanLogit", element: "f32", width: "one" },
  { key: "maxLogit", element: "f32", width: "one" },
  { key: "entropy", element: "f32", width: "one" },
] as const;

export type RowPart = (typeof ROW_PARTS)[number];

/** Elements per row of a part. */
export function rowWidth(part: RowPart, shape: { readonly tauCount: number }): number {
  return part.width === "one" ? 1 : shape[part.width];
}

/** Where row `row`'s top list begins; for row = n, where the last one ends. */
export function listStart(
  { topK, topOffsets }: Pick<TeacherSignal, "topK" | "topOffsets">,
  row: number,
): number {
  return topOffsets === undefined ? row * topK : (topOffsets[row] as number);
}

/** A signal under construction. */
export type MutableSignal = { -readonly [Key in keyof TeacherSignal]: TeacherSignal[Key] };

/** Bytes of a part that has `width` numbers per row; undefined when a row is not whole. */
export function columnsOf(values: { readonly length: number }, count: number): number | undefined {
  if (count === 0) return values.length === 0 ? 0 : undefined;
  const columns = values.length / count;
  return Number.isInteger(columns) ? columns : undefined;
}

/** Checks that every part has the length that `count`, `topK` and `tauCount` give it, and that ragged offsets rise from 0 to the end.
 * @throws TandemError INTERNAL naming the part. */
export function assertSignalShape(signal: TeacherSignal): void {
  const { count } = signal;
  for (const part of ROW_PARTS) {
    const values = signal[part.key];
    if (values !== undefined && values.length !== count * rowWidth(part, signal)) {
      fail(part.key, `${values.length} elements for ${count} rows of ${rowWidth(part, signal)}`);
    }
  }
  assertLists(signal);
  assertRagged("at", count, signal.atOffsets, [signal.atLogits]);
  assertRagged("draw", count, signal.drawOffsets, [signal.drawIds, signal.drawCounts]);
  if (signal.drawWeights !== undefined) {
    assertRagged("drawWeights", count, signal.drawOffsets, [signal.drawWeights]);
  }
  if (signal.dense !== undefined && columnsOf(signal.dense, count) === undefined) {
    fail("dense", `${signal.dense.length} elements for ${count} rows`);
  }
  for (const [layer, values] of signal.hidden ?? []) {
    if (columnsOf(values, count) === undefined) {
      fail(`hidden[${layer}]`, `${values.length} elements for ${count} rows`);
    }
  }
}

function assertLists(signal: TeacherSignal): void {
  const { count, topK, topOffsets, topIds, topLogits } = signal;
  if (topOffsets !== undefined) {
    const lengths = areListOffsets(topOffsets, count, topK);
    if (!lengths) fail("topOffsets", `offsets of other than ${count} lists of 1 to ${topK}`);
    if (topLogits === undefined) fail("topOffsets", "offsets without logits");
  }
  if (topIds !== undefined && topLogits === undefined) fail("topIds", "ids without logits");
  const total = listStart(signal, count);
  for (const [part, values] of Object.entries({ topIds, topLogits })) {
    if (values !== undefined && values.length !== total) {
      fail(part, `${values.length} elements for ${count} lists of ${total} altogether`);
    }
  }
}

/** Whether offsets [count+1] cut lists of 1 to k entries. */
export function areListOffsets(offsets: Uint32Array, count: number, topK: number): boolean {
  if (offsets.length !== count + 1 || offsets[0] !== 0) return false;
  for (let i = 0; i < count; i++) {
    const length = (offsets[i + 1] as number) - (offsets[i] as number);
    if (length < 1 || length > topK) return false;
  }
  return true;
}

function assertRagged(
  name: string,
  count: number,
  offsets: Uint32Array | undefined,
  columns: readonly ({ readonly length: number } | undefined)[],
): void {
  if (offsets === undefined) {
    if (columns.some((column) => column !== undefined)) fail(name, "values without offsets");
    return;
  }
  if (!areOffsets(offsets, count)) fail(`${name}Offsets`, "offsets that do not rise from 0");
  for (const column of columns) {
    if (column?.length !== offsets[count]) {
      fail(name, `${column?.length ?? "no"} values where the offsets end at ${offsets[count]}`);
    }
  }
}

/** Whether offsets [count+1] begin at 0 and never fall. */
export function areOffsets(offsets: Uint32Array, count: number): boolean {
  if (offsets.length !== count + 1 || offsets[0] !== 0) return false;
  for (let i = 0; i < count; i++) {
    if ((offsets[i + 1] as number) < (offsets[i] as number)) return false;
  }
  return true;
}

function fail(part: string, what: string): never {
  throw new TandemError("INTERNAL", `teacher signal part ${part} has ${what}`, { field: part });
}
