import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { assertSignalShape, listStart } from "@tandem/shared/wire/signal-parts.js";
import type { TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";
import { UNMATCHED } from "../losses/aligned-signal.js";
import type { TeacherRequirement } from "../losses/signal-requirement.js";
import { assertDistinct } from "./assert-distinct.js";
import {
  assertArray,
  assertNumbers,
  below,
  FINITE,
  invalid,
  LOG_PROBABILITY,
  LOGIT,
  NOT_NEGATIVE,
  POSITIVE,
  type NumberRange,
} from "./assert-numbers.js";

export interface SignalRule {
  /** Where the caller wrote it. */
  readonly field: string;
  /** n. */
  readonly count: number;
  /** V. */
  readonly vocabulary: number;
  readonly asked: TeacherRequirement;
}

type ArrayPart = Exclude<
  keyof TeacherSignal,
  "from" | "count" | "topK" | "logProbs" | "tauCount" | "hidden"
>;

const ANY: NumberRange = { holds: () => true, words: "any numbers" };

/** What the parts of a signal may hold. */
const RANGES: Readonly<
  Record<ArrayPart, readonly [typeof Float32Array | typeof Uint32Array, NumberRange]>
> = {
  topOffsets: [Uint32Array, ANY],
  topIds: [Uint32Array, ANY],
  topLogits: [Float32Array, LOGIT],
  lse: [Float32Array, FINITE],
  logTail: [Float32Array, LOG_PROBABILITY],
  taus: [Float32Array, POSITIVE],
  lseAt: [Float32Array, FINITE],
  logTailAt: [Float32Array, LOG_PROBABILITY],
  tokenLogit: [Float32Array, LOGIT],
  rank: [Uint32Array, ANY],
  atOffsets: [Uint32Array, ANY],
  atLogits: [Float32Array, LOGIT],
  meanLogit: [Float32Array, LOGIT],
  maxLogit: [Float32Array, FINITE],
  entropy: [Float32Array, NOT_NEGATIVE],
  drawOffsets: [Uint32Array, ANY],
  drawIds: [Uint32Array, ANY],
  drawCounts: [Uint32Array, POSITIVE],
  drawWeights: [Float32Array, NOT_NEGATIVE],
  dense: [Float32Array, LOGIT],
};

/** Those that are log-probabilities in a signal of log-probabilities. */
const SHORT_PARTS: readonly ArrayPart[] = ["topLogits", "tokenLogit", "atLogits"];

/** Sizes and ranges of every part that is there, whether or not the loss reads it. What it needs and is not there is found where it is read.
 * @throws TandemError INVALID_ARGUMENT naming the part. */
export function assertSignal(signal: TeacherSignal, rule: SignalRule): void {
  const { field, count, vocabulary } = rule;
  if (signal.count !== count)
    throw invalid(`${field}.count`, `is ${signal.count}, targets has ${count} positions`);
  for (const name of ["topK", "tauCount"] as const) {
    const value = signal[name];
    if (Number.isSafeInteger(value) && value >= 0) continue;
    throw invalid(`${field}.${name}`, `is ${value}; give a whole number, 0 for none`);
  }
  const parts = (Object.keys(RANGES) as ArrayPart[]).filter((key) => signal[key] !== undefined);
  for (const key of parts) assertArray(signal[key], `${field}.${key}`, [RANGES[key][0]]);
  if (signal.hidden !== undefined && !(signal.hidden instanceof Map)) {
    throw invalid(`${field}.hidden`, "is no Map; give one from layer to states");
  }
  assertShape(signal, field);
  for (const key of parts) {
    const range = signal.logProbs && SHORT_PARTS.includes(key) ? LOG_PROBABILITY : RANGES[key][1];
    assertNumbers(signal[key]!, { field: `${field}.${key}`, range });
  }
  if (signal.rank !== undefined) {
    assertNumbers(signal.rank, { field: `${field}.rank`, range: below(vocabulary, "ranks") });
  }
  assertLists(signal, rule);
  assertDraws(signal, rule);
  assertDense(signal, rule);
  assertHidden(signal, rule);
}

/** Lengths and offsets. */
function assertShape(signal: TeacherSignal, field: string): void {
  try {
    assertSignalShape(signal);
  } catch (error) {
    if (!(error instanceof TandemError)) throw error;
    const { message, field: part } = error;
    throw new TandemError("INVALID_ARGUMENT", `${field}: ${message}`, {
      field: `${field}.${part}`,
    });
  }
}

function assertLists(signal: TeacherSignal, { field, count, vocabulary, asked }: SignalRule): void {
  const { topIds, topLogits } = signal;
  const offsets = Uint32Array.from({ length: count + 1 }, (_, row) => listStart(signal, row));
  if (topIds !== undefined) {
    const ids = below(vocabulary, "ids");
    const unmatched = { ...ids, holds: (id: number) => id === UNMATCHED || ids.holds(id) };
    const range = asked.acrossTokenizers ? unmatched : ids;
    assertNumbers(topIds, { field: `${field}.topIds`, range });
    // Rows of an aligned signal that bear no law hold zeros.
    if (!asked.acrossTokenizers) assertDistinct(topIds, offsets, `${field}.topIds`);
  }
  if (topLogits === undefined) return;
  for (let row = 0; row < count; row++) {
    for (let at = offsets[row]! + 1; at < offsets[row + 1]!; at++) {
      if (topLogits[at]! <= topLogits[at - 1]!) continue;
      throw invalid(
        `${field}.topLogits`,
        `has ${topLogits[at]} behind ${topLogits[at - 1]} at position ${row}; give each list by falling logit`,
      );
    }
  }
}

function assertDraws(
  { drawIds, drawOffsets }: TeacherSignal,
  { field, vocabulary, asked }: SignalRule,
): void {
  if (drawIds === undefined || drawOffsets === undefined) return;
  assertNumbers(drawIds, { field: `${field}.drawIds`, range: below(vocabulary, "ids") });
  assertDistinct(drawIds, drawOffsets, `${field}.drawIds`);
  for (let row = 0; row + 1 < drawOffsets.length; row++) {
    const ids = drawOffsets[row + 1]! - drawOffsets[row]!;
    if (ids <= asked.spec.draws || asked.spec.draws === 0) continue;
    throw invalid(
      `${field}.drawIds`,
      `has ${ids} ids at position ${row}, the loss asks for ${asked.spec.draws} draws (options.draws)`,
    );
  }
}

function assertDense({ dense }: TeacherSignal, { field, count, vocabulary }: SignalRule): void {
  if (dense === undefined) return;
  const of = `${count} positions × ${vocabulary} ids`;
  assertNumbers(dense, { field: `${field}.dense`, count: count * vocabulary, of, range: LOGIT });
  for (let row = 0; row < count; row++) {
    const own = dense.subarray(row * vocabulary, (row + 1) * vocabulary);
    if (own.some(Number.isFinite)) continue;
    throw invalid(`${field}.dense`, `has no finite logit at position ${row}; give a law`);
  }
}

/** Of the layers that the loss compares. */
function assertHidden({ hidden }: TeacherSignal, { field, count, asked }: SignalRule): void {
  if (hidden === undefined) return;
  asked.spec.hiddenLayers.forEach((layer, at) => {
    const states = hidden.get(layer);
    if (states === undefined) return;
    const width = asked.hiddenWidths![at]!;
    const name = `${field}.hidden layer ${layer}`;
    assertArray(states, name, [Float32Array]);
    const of = `${count} positions × width ${width} (sizes.teacher)`;
    // What is not finite is refused where it is read: float16 ends early.
    assertNumbers(states, { field: name, count: count * width, of, range: ANY });
  });
}
