import { logSumExp } from "./signal-of-logits.js";

/** A language small enough to enumerate: V = 5, responses of 3 tokens, 31 prefixes, a law of its own behind each. */
export const V = 5;
const LENGTH = 3;
export const TEXTS = Array.from({ length: V ** LENGTH }, (_, n) => [
  Math.floor(n / V ** 2),
  Math.floor(n / V) % V,
  n % V,
]);
/** Number of the prefix of the first t tokens. */
export const stateOf = (text: readonly number[], t: number): number =>
  [0, 1, 1 + V][t]! + text.slice(0, t).reduce((sum, id) => V * sum + id, 0);
export const STATES = 1 + V + V ** 2;

/** Any numbers. */
const table = (salt: number): number[][] =>
  Array.from({ length: STATES }, (_, state) =>
    Array.from({ length: V }, (_v, id) => 1.7 * Math.sin(3 * salt + 7.3 * state + 2.1 * id * id)),
  );
/** Logits [STATES][V]. */
export const TEACHER = table(1);
export const STUDENT = table(2);
export const logSoftmax = (row: readonly number[]): number[] => row.map((x) => x - logSumExp(row));
export const LOG_P = TEACHER.map(logSoftmax);
export const LOG_Q = STUDENT.map(logSoftmax);
/** Log-probabilities of a text's tokens. */
export const along = (laws: readonly (readonly number[])[], text: readonly number[]): number[] =>
  text.map((id, t) => laws[stateOf(text, t)]![id]!);
export const total = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0);
