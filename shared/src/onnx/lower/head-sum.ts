import type { NodeOf } from "../graph.js";
import { TENSOR_DATA_TYPE } from "../onnx-proto.js";
import type { Lowering } from "./lowering.js";

/** A short list is sorted first: enough where the mass is in few ids, as in the laws of language models. */
const SHORT_HEAD = 64;

const LAST_AXIS = { attributes: { axis: { int: -1 } } };
const NOT_KEPT = { attributes: { keepdims: { int: 0 } } };

/** Only ids that can belong to the head are sorted: those of a short list, if it has more than `mass` in every row, else those with p > c,
 * c = (1 − mass)/V: the others have a mass of at most V·c together. How many they are differs from run to run. */
export function lowerHeadSum(
  lowering: Lowering,
  { inputs: [p, x], attributes: { mass }, outputs: [sum] }: NodeOf<"headSum">,
): string {
  const [values, terms] = [lowering.nameOf(p!), lowering.nameOf(x!)];
  const size = p!.shape.at(-1) as number;
  const short = lowering.ints([Math.min(SHORT_HEAD, size)]);
  const list = lowering.emitAll("TopK", [values, short], 2, LAST_AXIS) as [string, string];
  const leastMass = lowering.emit("ReduceMin", [sumOf(lowering, list[0])], NOT_KEPT);
  const isEnough = lowering.emit("Greater", [leastMass, lowering.float(mass + 1e-5)]);
  const result = { dtype: sum!.dtype, shape: sum!.shape };
  return lowering.emitIf(isEnough, result, {
    yes: (inner) => sumOfHead(inner, { list, terms, mass }),
    no: (inner) => {
      const k = candidateCount(inner, values, (0.99 * (1 - mass)) / size);
      const all = inner.emitAll("TopK", [values, k], 2, LAST_AXIS) as [string, string];
      return sumOfHead(inner, { list: all, terms, mass });
    },
  });
}

/** The largest number of values above the limit in any row, at least one: i64 [1]. */
function candidateCount(lowering: Lowering, values: string, limit: number): string {
  const above = lowering.emit("Greater", [values, lowering.float(limit)]);
  const most = lowering.emit("ReduceMax", [sumOf(lowering, asFloat(lowering, above))], NOT_KEPT);
  const count = lowering.emit("Cast", [lowering.emit("Max", [most, lowering.float(1)])], {
    attributes: { to: { int: TENSOR_DATA_TYPE.i64 } },
  });
  return lowering.emit("Reshape", [count, lowering.ints([1])]);
}

/** Σ of the terms over the head of a list of falling values and their ids. */
function sumOfHead(
  lowering: Lowering,
  {
    list: [sorted, ids],
    terms,
    mass,
  }: { readonly list: readonly [string, string]; readonly terms: string; readonly mass: number },
): string {
  const chosen = lowering.emit("GatherElements", [terms, ids], LAST_AXIS);
  const axis = lowering.constant("i64", [], BigInt64Array.of(-1n));
  const until = lowering.emit("CumSum", [sorted, axis]);
  // Nothing lies before the first id, and behind it at least 1/V, far above rounding.
  const before = lowering.emit("Sub", [until, sorted]);
  const first = lowering.emit("Less", [before, lowering.float(1e-9)]);
  const within = lowering.emit("LessOrEqual", [until, lowering.float(mass)]);
  const inHead = asFloat(lowering, lowering.emit("Or", [first, within]));
  return sumOf(lowering, lowering.emit("Mul", [chosen, inHead]));
}

function sumOf(lowering: Lowering, terms: string): string {
  return lowering.emit("ReduceSum", [terms, lowering.ints([-1])], NOT_KEPT);
}

function asFloat(lowering: Lowering, condition: string): string {
  return lowering.emit("Cast", [condition], {
    attributes: { to: { int: TENSOR_DATA_TYPE.f32 } },
  });
}
