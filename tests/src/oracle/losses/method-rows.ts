/** Every registered loss on rows of known logits, with the signal of that teacher. */
import { evaluateLoss, lossRequirement, type LossValue } from "@tandem/student-trainer";
import { bestIds, logSumExp, signalOfLogits } from "../../helpers/signal-of-logits.js";

export interface MethodRows {
  readonly vocabulary: number;
  readonly student: Float32Array | Float64Array;
  readonly teacher: Float32Array;
  readonly targets?: Uint32Array;
  readonly weights?: readonly number[];
  readonly byStudent?: readonly number[];
  readonly draws?: readonly (readonly { readonly id: number; readonly count: number }[])[];
  readonly engine?: "onnx" | "reference";
}

export interface MethodChoice {
  readonly loss: string;
  readonly options?: Readonly<Record<string, unknown>>;
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
  const known = { vocabulary, teacher, student, targets, draws };
  return evaluateLoss({
    loss,
    ...(options && { options }),
    studentLogits: student,
    vocabulary,
    targets,
    ...signalOfLogits(known, lossRequirement(loss, options)),
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
