import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { f32Tensor, i64Tensor, type HostTensor } from "@tandem/shared/runtime/host-tensor.js";
import type { Rollout } from "../rollout/rollout.js";
import type { SignalInput, SignalRow } from "./signal-inputs.js";

/** A rollout and what each of its response positions weighs in the minibatch's loss (`reductionCoefficients`). */
export interface WeightedRollout {
  readonly rollout: Rollout;
  readonly coefficients: ArrayLike<number>;
  /** The losses' columns (`LossSet.columns`), each with a number per response position; left out: none. */
  readonly columns?: readonly Float32Array[];
}

/** The feed of a column, before the chunk's number. */
export function columnName(index: number): string {
  return `column.${index}`;
}

export interface PackOptions {
  /** V: ids below it are legal. */
  readonly vocabulary: number;
  readonly signalInputs: readonly SignalInput[];
  /** T is rounded up to a multiple, so that few different sizes occur. */
  readonly positionMultiple: number;
  /** Positions the model was made for: T is never more. Default: no limit. */
  readonly contextLength?: number;
  /** Most rows of logits that exist at once. */
  readonly chunkRows: number;
  /** C is a multiple of it (`lossBlockRows`). Default: 1. */
  readonly blockRows?: number;
  /** No sequence is cut between chunks, which are as large as that takes, and `sequence.c`, `index.c` [C] are fed. Default: false. */
  readonly keepSequences?: boolean;
}

/** Sequences as the gradient session eats them. */
export interface PackedMicrobatch {
  /** B and T. */
  readonly rows: number;
  readonly positions: number;
  /** Chunks of loss rows, all of the same size C, chunks·C ≥ n. */
  readonly chunks: number;
  /** n: positions that carry loss. */
  readonly lossPositions: number;
  /** u32 [n]: the row of [chunks·C] in which each of them stands. Other rows weigh nothing. */
  readonly slots: Uint32Array;
  /** `ids` [B,T], `lossRows` [chunks,C] and per chunk c `targets.c` [C], `coefficients.c` [C], `column.I.c` [C] and the signal's `NAME.c`. */
  readonly feeds: Readonly<Record<string, HostTensor>>;
}

/** One position that carries loss. */
interface LossPosition {
  readonly rollout: Rollout;
  readonly columns: readonly Float32Array[];
  /** Index in the response, which is also the row of the signal. */
  readonly index: number;
  /** Row of the flattened hidden states [B·T] whose logits predict the token. */
  readonly hiddenRow: number;
  readonly coefficient: number;
}

/** Where the positions that carry loss stand. */
interface Chunks {
  readonly chunks: number;
  /** C. */
  readonly size: number;
  /** Row of [chunks·C] of each position. */
  readonly slots: Uint32Array;
}

/** Rows are padded on the right with id 0, where causality hides it; the last token of a row is only ever a target.
 * Nothing is copied per chunk: chunks are views of one array. */
export function packMicrobatch(
  sequences: readonly WeightedRollout[],
  options: PackOptions,
): PackedMicrobatch {
  const { vocabulary, signalInputs, chunkRows, blockRows = 1 } = options;
  const rows = sequences.length;
  const positions = positionsFor(sequences, options);
  const lossPositions = sequences.flatMap((sequence, row) =>
    lossPositionsOf(sequence, row * positions),
  );
  const layout = options.keepSequences
    ? wholeSequences(lossPositions, chunkRows)
    : evenChunks(lossPositions.length, { chunkRows, blockRows });
  return {
    rows,
    positions,
    chunks: layout.chunks,
    lossPositions: lossPositions.length,
    slots: layout.slots,
    feeds: {
      ids: i64Tensor(widen(packIds(sequences, positions, vocabulary)), [rows, positions]),
      ...packLossRows(lossPositions, layout),
      ...(options.keepSequences && packPlaces(lossPositions, layout)),
      ...packColumns(lossPositions, sequences[0]?.columns?.length ?? 0, layout),
      ...packSignals(lossPositions, signalInputs, layout),
    },
  };
}

function evenChunks(
  count: number,
  { chunkRows, blockRows }: { readonly chunkRows: number; readonly blockRows: number },
): Chunks {
  const chunks = chunkCount(count, chunkRows);
  const slots = Uint32Array.from({ length: count }, (_, at) => at);
  const size = Math.ceil(chunkSize(count, chunks) / blockRows) * blockRows;
  return { chunks, size, slots };
}

/** As even as whole sequences, in their order, allow. */
function wholeSequences(lossPositions: readonly LossPosition[], chunkRows: number): Chunks {
  const lengths = runLengths(lossPositions.map(({ rollout }) => rollout));
  const chunks = chunkCount(lossPositions.length, chunkRows);
  let size = Math.max(chunkSize(lossPositions.length, chunks), ...lengths);
  let starts = placeRuns(lengths, size);
  while (starts.at(-1)! + lengths.at(-1)! > chunks * size) starts = placeRuns(lengths, ++size);
  const slots = starts.flatMap((start, run) =>
    Array.from({ length: lengths[run]! }, (_, index) => start + index),
  );
  return { chunks, size, slots: Uint32Array.from(slots) };
}

/** Where each run begins when one that would cross a multiple of `size` moves up to it. */
function placeRuns(lengths: readonly number[], size: number): number[] {
  let next = 0;
  return lengths.map((length) => {
    const room = size - (next % size);
    const start = length > room ? next + room : next;
    next = start + length;
    return start;
  });
}

/** How often each value comes in a row. */
function runLengths(values: readonly unknown[]): number[] {
  const lengths: number[] = [];
  values.forEach((value, at) => {
    if (at > 0 && value === values[at - 1]) lengths[lengths.length - 1]! += 1;
    else lengths.push(1);
  });
  return lengths;
}

/** At least two rows: with one, engines may take another path, with other bits. */
function chunkSize(count: number, chunks: number): number {
  return Math.max(2, Math.ceil(count / chunks));
}

/** A power of two: each number of chunks is a graph of its own. It depends on the microbatch alone, as bits depend on it. */
function chunkCount(lossPositions: number, chunkRows: number): number {
  return 2 ** Math.max(0, Math.ceil(Math.log2(lossPositions / chunkRows)));
}

/** T: as many positions as the longest row feeds, padding included. @throws OUT_OF_RANGE when the model has not so many. */
function positionsFor(
  sequences: readonly WeightedRollout[],
  { positionMultiple, contextLength = Infinity }: PackOptions,
): number {
  let needed = 1;
  for (const { rollout } of sequences) {
    const fed = rollout.prompt.length + rollout.response.length - 1;
    if (fed > contextLength) {
      throw new TandemError(
        "OUT_OF_RANGE",
        `row ${rollout.row} has ${fed + 1} tokens, the model has ${contextLength} positions; shorten prompts or responses`,
        { limit: contextLength },
      );
    }
    needed = Math.max(needed, fed);
  }
  return Math.min(contextLength, Math.ceil(needed / positionMultiple) * positionMultiple);
}

function lossPositionsOf(
  { rollout, coefficients, columns = [] }: WeightedRollout,
  firstRow: number,
): LossPosition[] {
  const found: LossPosition[] = [];
  if (rollout.prompt.length === 0) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `row ${rollout.row} has no prompt; a model needs at least one token to predict the next one from`,
    );
  }
  for (let index = 0; index < rollout.response.length; index++) {
    const coefficient = coefficients[index] as number;
    const hiddenRow = firstRow + rollout.prompt.length + index - 1;
    if (coefficient !== 0) {
      found.push({ rollout, columns, index, hiddenRow, coefficient });
    }
  }
  return found;
}

function packIds(
  sequences: readonly WeightedRollout[],
  positions: number,
  vocabulary: number,
): Uint32Array {
  const ids = new Uint32Array(sequences.length * positions);
  sequences.forEach(({ rollout: { prompt, response, row } }, at) => {
    for (const id of [...prompt, ...response]) {
      if (id >= vocabulary) {
        throw new TandemError(
          "INVALID_ARGUMENT",
          `row ${row} has token id ${id}, the vocabulary has ${vocabulary}; tokenize with the student's tokenizer`,
        );
      }
    }
    ids.set(prompt, at * positions);
    ids.set(response.subarray(0, -1), at * positions + prompt.length);
  });
  return ids;
}

function packLossRows(
  lossPositions: readonly LossPosition[],
  { chunks, size, slots }: Chunks,
): Record<string, HostTensor> {
  const hiddenRows = new Uint32Array(chunks * size);
  const targets = new Uint32Array(chunks * size);
  const coefficients = new Float32Array(chunks * size);
  lossPositions.forEach(({ rollout, index, hiddenRow, coefficient }, position) => {
    const at = slots[position]!;
    hiddenRows[at] = hiddenRow;
    targets[at] = rollout.response[index] as number;
    coefficients[at] = coefficient;
  });
  const wideTargets = widen(targets);
  const feeds: Record<string, HostTensor> = {
    lossRows: i64Tensor(widen(hiddenRows), [chunks, size]),
  };
  for (let chunk = 0; chunk < chunks; chunk++) {
    const [from, to] = [chunk * size, (chunk + 1) * size];
    feeds[`targets.${chunk}`] = i64Tensor(wideTargets.subarray(from, to), [size]);
    feeds[`coefficients.${chunk}`] = f32Tensor(coefficients.subarray(from, to), [size]);
  }
  return feeds;
}

/** Which sequence a row belongs to, −1 where there is none, and where in its response it stands. */
function packPlaces(
  lossPositions: readonly LossPosition[],
  { chunks, size, slots }: Chunks,
): Record<string, HostTensor> {
  const sequence = new Float32Array(chunks * size).fill(-1);
  const indices = new Float32Array(chunks * size);
  let number = -1;
  lossPositions.forEach(({ rollout, index }, position) => {
    if (rollout !== lossPositions[position - 1]?.rollout) number++;
    sequence[slots[position]!] = number;
    indices[slots[position]!] = index;
  });
  const feeds: Record<string, HostTensor> = {};
  for (let chunk = 0; chunk < chunks; chunk++) {
    const [from, to] = [chunk * size, (chunk + 1) * size];
    feeds[`sequence.${chunk}`] = f32Tensor(sequence.subarray(from, to), [size]);
    feeds[`index.${chunk}`] = f32Tensor(indices.subarray(from, to), [size]);
  }
  return feeds;
}

function packColumns(
  lossPositions: readonly LossPosition[],
  count: number,
  { chunks, size, slots }: Chunks,
): Record<string, HostTensor> {
  const feeds: Record<string, HostTensor> = {};
  for (let column = 0; column < count; column++) {
    const data = new Float32Array(chunks * size);
    lossPositions.forEach(({ columns, index }, position) => {
      data[slots[position]!] = columns[column]![index]!;
    });
    for (let chunk = 0; chunk < chunks; chunk++) {
      const view = data.subarray(chunk * size, (chunk + 1) * size);
      feeds[`${columnName(column)}.${chunk}`] = f32Tensor(view, [size]);
    }
  }
  return feeds;
}

function packSignals(
  lossPositions: readonly LossPosition[],
  inputs: readonly SignalInput[],
  { chunks, size, slots }: Chunks,
): Record<string, HostTensor> {
  const teachers = [...new Set(inputs.map(({ teacher }) => teacher))];
  const byTeacher = new Map(
    teachers.map((teacher) => [teacher, lossPositions.map((each) => signalRow(each, teacher))]),
  );
  const feeds: Record<string, HostTensor> = {};
  for (const input of inputs) {
    const sources = byTeacher.get(input.teacher)!;
    const width = input.width ?? 1;
    const shape = input.width === undefined ? [size] : [size, width];
    const views = (chunk: number) => [chunk * size * width, (chunk + 1) * size * width] as const;
    if (input.dtype === "f32") {
      const data = new Float32Array(chunks * size * width).fill(input.filler);
      sources.forEach((source, at) => input.fill(data, slots[at]! * width, source));
      for (let chunk = 0; chunk < chunks; chunk++) {
        feeds[`${input.name}.${chunk}`] = f32Tensor(data.subarray(...views(chunk)), shape);
      }
    } else {
      const data = new Uint32Array(chunks * size * width);
      if (input.filler === "ascending") data.forEach((_, at) => (data[at] = at % width));
      sources.forEach((source, at) => input.fill(data, slots[at]! * width, source));
      const wide = widen(data);
      for (let chunk = 0; chunk < chunks; chunk++) {
        feeds[`${input.name}.${chunk}`] = i64Tensor(wide.subarray(...views(chunk)), shape);
      }
    }
  }
  return feeds;
}

/** Where a position's signal stands. @throws FAILED_PRECONDITION when there is none, or its rows are not the response's tokens. */
function signalRow({ rollout, index }: LossPosition, teacher: string | undefined): SignalRow {
  const { row, prompt, response } = rollout;
  const of = teacher === undefined ? "" : ` of "${teacher}"`;
  const signal = teacher === undefined ? rollout.signal : rollout.signals?.[teacher];
  if (signal === undefined) {
    throw new TandemError(
      "FAILED_PRECONDITION",
      `row ${row} has no teacher signal${of}, but the losses need one; use cross-entropy for text alone`,
    );
  }
  if (signal.from === prompt.length && signal.count >= response.length) {
    return { rollout, signal, row: index };
  }
  throw new TandemError(
    "FAILED_PRECONDITION",
    `row ${row}: the teacher signal${of} has ${signal.count} positions from ${signal.from}, the response ${response.length} from ${prompt.length}`,
  );
}

/** u32 → i64 by writing the low words (typed arrays are little-endian wherever Node and onnxruntime run). */
function widen(values: Uint32Array): BigInt64Array {
  const wide = new BigInt64Array(values.length);
  const words = new Uint32Array(wide.buffer);
  for (let index = 0; index < values.length; index++) words[2 * index] = values[index] as number;
  return wide;
}
