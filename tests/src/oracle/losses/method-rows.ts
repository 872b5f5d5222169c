/** Every registered loss on rows of known logits, with the signal of that teacher. */
import { evaluateLoss, listLosses, lossRequirement, type LossValue } from "@tandem/student-trainer";
import { stateNumber } from "@tandem/shared/wire/state-number.js";
import { bestIds, logSumExp, signalOfLogits } from "../../helpers/signal-of-logits.js";

export interface MethodRows {
  readonly vocabulary: number;
  readonly student: Float32Array | Float64Array;
  readonly teacher: Float32Array;
  readonly targets?: Uint32Array;
  readonly weights?: readonly number[];
  readonly byStudent?: readonly number[];
  readonly draws?: readonly (readonly { readonly id: number; readonly count: number }[])[];
  /** The first row's number, by which hidden states are made up. Default: 0. */
  readonly firstRow?: number;
  /** The student's hidden states by layer, [n,16]. Default: random numbers. */
  readonly layers?: (layer: number) => Float64Array | Float32Array;
  readonly engine?: "onnx" | "reference";
}

/** Of the models whose hidden states the rows have. */
export const SIZES = { student: { layers: 2, width: 16 }, teacher: { layers: 3, width: 24 } };

/** The numbers of all of the student's hidden states. */
const STUDENT_STATES: readonly number[] = [
  0,
  ...(["stream", "queries", "keys", "values"] as const).flatMap((kind) =>
    Array.from({ length: SIZES.student.layers }, (_, at) => stateNumber({ kind, layer: at + 1 })),
  ),
];

/** Each row's states are its own, however many rows there are. */
export function statesOf(
  whose: "student" | "teacher",
  layer: number,
  rows: number,
  first = 0,
): Float32Array {
  const { width } = SIZES[whose];
  const each = Array.from({ length: rows }, (_, row) =>
    Array.from(
      randomLogits(1000 * layer + first + row + (whose === "teacher" ? 500 : 0), width, 1),
    ),
  );
  return Float32Array.from(each.flat());
}

export interface MethodChoice {
  readonly loss: string;
  readonly options?: Readonly<Record<string, unknown>>;
}

/** Lists of V ids where a loss's defaults are longer. */
export function fittingOptions(loss: string, vocabulary: number): Readonly<Record<string, number>> {
  const { options } = listLosses().find(({ name }) => name === loss)!;
  // Continuation-KD's k is of the approximation of its dense form, which is the default.
  const isDense = options.some(({ name }) => name === "support");
  const names = ["topK", "rank", "features", ...(isDense ? [] : ["k"])];
  const lists = options.filter(({ name }) => names.includes(name));
  const long = lists.filter((own) => typeof own.default === "number" && own.default > vocabulary);
  return Object.fromEntries(long.map(({ name }) => [name, vocabulary]));
}

export function evaluateRows(
  { loss, options }: MethodChoice,
  rows: MethodRows,
): Promise<LossValue> {
  const { vocabulary, student, teacher, engine = "reference" } = rows;
  const count = student.length / vocabulary;
  const targets = rows.targets ?? Uint32Array.from({ length: count }, (_, row) => row % vocabulary);
  const draws =
    rows.draws ??
    Array.from({ length: count }, (_, row) => {
      const u = Array.from(teacher.subarray(row * vocabulary, (row + 1) * vocabulary));
      return bestIds(u, 2)
        .sort((a, b) => a - b)
        .map((id, at) => ({ id, count: at + 1 }));
    });
  const hidden = (layer: number) => statesOf("teacher", layer, count, rows.firstRow);
  const known = { vocabulary, teacher, student, targets, draws, hidden };
  const requirement = lossRequirement(loss, options, 0, { ...SIZES, vocabulary });
  // The student that wrote the text found each token a little less likely.
  const oldLogProbs = Float32Array.from(targets, (id, row) => {
    const v = Array.from(student.subarray(row * vocabulary, (row + 1) * vocabulary));
    return v[id]! - logSumExp(v) - 0.1;
  });
  return evaluateLoss({
    loss,
    ...(options && { options }),
    studentLogits: student,
    vocabulary,
    targets,
    ...signalOfLogits(known, requirement),
    ...(requirement.ownLogProbs && { oldLogProbs }),
    sizes: SIZES,
    studentLayers: Object.fromEntries(
      STUDENT_STATES.map((layer) => [
        layer,
        rows.layers?.(layer) ?? statesOf("student", layer, count, rows.firstRow),
      ]),
    ),
    ...(rows.weights && { weights: rows.weights }),
    ...(rows.byStudent && { byStudent: rows.byStudent }),
    engine,
  });
}

/** A small generator (mulberry32), for logits in tests. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function randomLogits(seed: number, count: number, scale: number): Float32Array {
  const random = seeded(seed);
  return Float32Array.from(
    { length: count },
    () => scale * (random() + random() + random() - 1.5) * 2,
  );
}

export function softmax(logits: readonly number[]): number[] {
  const lse = logSumExp(logits);
  return logits.map((x) => Math.exp(x - lse));
}
