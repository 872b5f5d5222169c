import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";
import { listStart } from "@tandem/shared/wire/signal-parts.js";
import { UNMATCHED } from "../losses/aligned-signal.js";
import {
  tauCount,
  type SignalRequirement,
  type TeacherRequirement,
} from "../losses/signal-requirement.js";
import type { Rollout } from "../rollout/rollout.js";

/** One of the teacher's tensors as it enters the graph: `[n]`, or `[n,width]`. */
export type SignalInput = FloatInput | IdInput;

interface SignalInputBase {
  readonly name: string;
  readonly width: number | undefined;
  /** Of which teacher; left out: the row's. */
  readonly teacher?: string;
}

export interface FloatInput extends SignalInputBase {
  readonly dtype: "f32";
  /** Writes row `row` of a rollout's signal at `target[at …]`. */
  readonly fill: (target: Float32Array, at: number, source: SignalRow) => void;
  /** What rows without a position hold: anything from which losses stay finite. */
  readonly filler: number;
}

export interface IdInput extends SignalInputBase {
  readonly dtype: "i64";
  /** Ids are filled as u32 and widened later. */
  readonly fill: (target: Uint32Array, at: number, source: SignalRow) => void;
  /** What rows without a position hold: distinct ids where a loss may write at them, else 0 (a width may exceed V). */
  readonly filler: "ascending" | "zero";
}

export interface SignalRow {
  readonly rollout: Rollout;
  readonly signal: TeacherSignal;
  readonly row: number;
}

type FloatPart = "lse" | "logTail" | "tokenLogit" | "meanLogit" | "maxLogit" | "entropy" | "rank";

/** The inputs that a requirement brings, in a fixed order; those of named teachers are called `TEACHER/INPUT`. */
export function signalInputs(
  requirement: SignalRequirement,
  vocabulary: number,
): readonly SignalInput[] {
  const named = Object.entries(requirement.named ?? {}).flatMap(([teacher, own]) =>
    inputsOf(own, vocabulary).map((input) => ({
      ...input,
      name: inputName(input.name, teacher),
      teacher,
    })),
  );
  return [...inputsOf(requirement, vocabulary), ...named];
}

/** What an input of a teacher is called; undefined is the row's. */
export function inputName(name: string, teacher: string | undefined): string {
  return teacher === undefined ? name : `${teacher}/${name}`;
}

function inputsOf(requirement: TeacherRequirement, vocabulary: number): readonly SignalInput[] {
  const { spec, studentTopK, hiddenWidths, acrossTokenizers } = requirement;
  const slots = Array.from({ length: tauCount(requirement) }, (_, slot) => slot);
  return [
    ...(spec.topK > 0
      ? topInputs(Math.min(spec.topK, acrossTokenizers?.vocabulary ?? vocabulary), {
          across: acrossTokenizers !== undefined,
          ragged: spec.topPMass < 1,
          short: spec.logProbs,
          withoutIds: spec.omitTopIds,
        })
      : []),
    ...((spec.topK > 0 || spec.lse) && !spec.logProbs ? [scalarPart("lse", "lse")] : []),
    ...slots.flatMap((slot) => temperatureInputs(slot, spec.topK > 0)),
    ...(spec.token
      ? [
          inForm(scalarPart("token.logit", "tokenLogit"), spec.logProbs),
          scalarPart("token.rank", "rank"),
        ]
      : []),
    ...(spec.moments
      ? [
          scalarPart("moments.mean", "meanLogit"),
          scalarPart("moments.max", "maxLogit"),
          scalarPart("moments.entropy", "entropy"),
        ]
      : []),
    ...(studentTopK > 0 ? atInputs(Math.min(studentTopK, vocabulary), spec.logProbs) : []),
    ...(spec.draws > 0 ? drawInputs(spec.draws, spec.drawTemperature !== 1) : []),
    ...(spec.dense === "none"
      ? []
      : [matrixPart("dense", vocabulary, ({ signal }) => signal.dense)]),
    ...spec.hiddenLayers.map((layer, at) => hiddenPart(layer, hiddenWidths![at]!)),
  ];
}

interface ListShape {
  /** The teacher has another tokenizer. */
  readonly across: boolean;
  /** Lists may be shorter than k. */
  readonly ragged: boolean;
  /** Log-probabilities without a tail. */
  readonly short: boolean;
  readonly withoutIds: boolean;
}

function topInputs(
  k: number,
  { across, ragged, short, withoutIds }: ListShape,
): readonly SignalInput[] {
  /** The row's entries of an array beside the list's ids. */
  const entries = <A extends Float32Array | Uint32Array>(
    { signal, row }: SignalRow,
    pick: (signal: TeacherSignal) => A | undefined,
  ): A => {
    const fits = signal.topK === k && (ragged || signal.topOffsets === undefined);
    const source = part(fits ? pick(signal) : undefined, `a top list of ${k}`);
    return source.subarray(listStart(signal, row), listStart(signal, row + 1)) as A;
  };
  const own = (source: SignalRow): Uint32Array => entries(source, ({ topIds }) => topIds);
  const used: FloatInput = {
    name: "top.used",
    dtype: "f32",
    width: k,
    filler: 1,
    fill: (target, at, source) =>
      target.fill(1, at, at + own(source).length).fill(0, at + own(source).length, at + k),
  };
  const ids: IdInput = {
    name: "top.ids",
    dtype: "i64",
    width: k,
    filler: across ? "zero" : "ascending",
    fill: (target, at, source) =>
      // places behind a list repeat its first id: whoever writes at the list's ids writes nowhere else
      target
        .fill(own(source)[0] as number, at, at + k)
        .set(across ? own(source).map((id) => (id === UNMATCHED ? 0 : id)) : own(source), at),
  };
  const logits: FloatInput = {
    name: short ? "top.logProbs" : "top.logits",
    dtype: "f32",
    width: k,
    filler: 0,
    fill: (target, at, source) =>
      target.fill(-Infinity, at, at + k).set(
        entries(source, ({ topLogits }) => topLogits),
        at,
      ),
  };
  const matched: FloatInput = {
    name: "top.matched",
    dtype: "f32",
    width: k,
    filler: 0,
    fill: (target, at, source) =>
      own(source).forEach((id, place) => (target[at + place] = id === UNMATCHED ? 0 : 1)),
  };
  if (short) return [...(withoutIds ? [] : [ids]), inForm(logits, true)];
  return [
    ids,
    ...(ragged ? [used] : []),
    ...(across ? [matched] : []),
    inForm(logits, false),
    scalarPart("top.logTail", "logTail"),
  ];
}

function temperatureInputs(slot: number, withTail: boolean): readonly FloatInput[] {
  const column = (
    name: string,
    pick: (signal: TeacherSignal) => Float32Array | undefined,
    filler: number,
  ): FloatInput => ({
    name: `${name}.${slot}`,
    dtype: "f32",
    width: undefined,
    filler,
    fill: (target, at, { signal, row }) => {
      target[at] = part(pick(signal), `${name} for each temperature`)[
        row * signal.tauCount + slot
      ] as number;
    },
  });
  return [
    column("tau", (signal) => signal.taus, 1),
    column("lseAt", (signal) => signal.lseAt, 0),
    ...(withTail ? [column("logTailAt", (signal) => signal.logTailAt, 0)] : []),
  ];
}

/** An input that holds log-probabilities, or logits: one is not taken for the other. */
function inForm(input: FloatInput, logProbs: boolean): FloatInput {
  return {
    ...input,
    fill: (target, at, source) => {
      if ((source.signal.logProbs ?? false) !== logProbs) {
        throw missing(logProbs ? "log-probabilities" : "raw logits");
      }
      input.fill(target, at, source);
    },
  };
}

function atInputs(count: number, logProbs: boolean): readonly SignalInput[] {
  const range = ({ signal, row }: SignalRow) => {
    const offsets = part(signal.atOffsets, "logits at the student's ids");
    const [from, to] = [offsets[row] as number, offsets[row + 1] as number];
    if (to - from !== count) throw missing(`${count} logits at the student's ids per position`);
    return [from, to] as const;
  };
  const ids: IdInput = {
    name: "at.ids",
    dtype: "i64",
    width: count,
    filler: "ascending",
    fill: (target, at, source) =>
      target.set(part(source.rollout.atIds, "the student's ids").subarray(...range(source)), at),
  };
  const logits: FloatInput = {
    name: "at.logits",
    dtype: "f32",
    width: count,
    filler: 0,
    fill: (target, at, source) =>
      target.set(
        part(source.signal.atLogits, "logits at the student's ids").subarray(...range(source)),
        at,
      ),
  };
  return [ids, inForm(logits, logProbs)];
}

/** Rows have at most `count` distinct ids; unused columns keep id 0 and count 0. */
function drawInputs(count: number, weighted: boolean): readonly SignalInput[] {
  const range = ({ signal, row }: SignalRow) => {
    const offsets = part(signal.drawOffsets, "draws");
    return [offsets[row] as number, offsets[row + 1] as number] as const;
  };
  const ids: IdInput = {
    name: "draws.ids",
    dtype: "i64",
    width: count,
    filler: "zero",
    fill: (target, at, source) => {
      target.fill(0, at, at + count);
      target.set(part(source.signal.drawIds, "draws").subarray(...range(source)), at);
    },
  };
  const column = (
    name: string,
    pick: (signal: TeacherSignal) => Float32Array | Uint32Array | undefined,
    what: string,
  ): FloatInput => ({
    name,
    dtype: "f32",
    width: count,
    filler: 0,
    fill: (target, at, source) => {
      target.fill(0, at, at + count);
      target.set(part(pick(source.signal), what).subarray(...range(source)), at);
    },
  });
  return [
    ids,
    column("draws.counts", (signal) => signal.drawCounts, "draws"),
    ...(weighted
      ? [column("draws.weights", (signal) => signal.drawWeights, "weights of tempered draws")]
      : []),
  ];
}

/** States travel as float16, which ends at 65504: what overflowed there would make every weight NaN. */
function hiddenPart(layer: number, width: number): FloatInput {
  const name = `hidden.${layer}`;
  return {
    name,
    dtype: "f32",
    width,
    filler: 0,
    fill: (target, at, { signal, row }) => {
      const states = part(signal.hidden?.get(layer), `the hidden states of layer ${layer}`);
      if (states.length !== signal.count * width) throw missing(`hidden states of width ${width}`);
      const own = states.subarray(row * width, (row + 1) * width);
      if (!own.every(Number.isFinite)) {
        throw new TandemError(
          "OUT_OF_RANGE",
          `hidden states of the teacher's layer ${layer} exceed float16 (65504); compare another layer`,
        );
      }
      target.set(own, at);
    },
  };
}

function scalarPart(name: string, field: FloatPart): FloatInput {
  return {
    name,
    dtype: "f32",
    width: undefined,
    filler: 0,
    fill: (target, at, { signal, row }) => {
      target[at] = part(signal[field], field)[row] as number;
    },
  };
}

function matrixPart(
  name: string,
  width: number,
  pick: (row: SignalRow) => Float32Array | undefined,
): FloatInput {
  return {
    name,
    dtype: "f32",
    width,
    filler: 0,
    fill: (target, at, source) =>
      target.set(
        part(pick(source), name).subarray(source.row * width, (source.row + 1) * width),
        at,
      ),
  };
}

function part<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw missing(what);
  return value;
}

function missing(what: string): TandemError {
  return new TandemError(
    "FAILED_PRECONDITION",
    `the losses need ${what}, but the teacher signal does not hold it; ask the teacher for what they require (lossRequirement)`,
  );
}
