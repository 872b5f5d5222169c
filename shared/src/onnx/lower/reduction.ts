import { sameShape } from "../../tensor/broadcast.js";
import type { ReductionOpName } from "../../tensor/op-attributes.js";
import type { Shape } from "../../tensor/tensor-ops.js";
import type { GraphTensor, NodeOf } from "../graph.js";
import { LONG_ROW } from "../simplify.js";
import { TENSOR_DATA_TYPE } from "../onnx-proto.js";
import type { ReduceAttributes } from "../../tensor/op-attributes.js";
import type { LowerRules } from "./lower-rule.js";
import type { Lowering } from "./lowering.js";

interface ReduceNode {
  readonly inputs: readonly GraphTensor[];
  readonly attributes: ReduceAttributes;
}

const reduction =
  (opType: string) =>
  (lowering: Lowering, { inputs, attributes }: ReduceNode): string => {
    if (attributes.axes.length === 0) return lowering.namesOf(inputs)[0] as string;
    return lowering.emit(opType, [...lowering.namesOf(inputs), lowering.ints(attributes.axes)], {
      attributes: { keepdims: { int: attributes.keepDims ? 1 : 0 } },
    });
  };

/** Σ a·b of long rows, where nobody else wants the products, is a product of a row with a column, which does not write them. */
function lowerReduceSum(lowering: Lowering, node: NodeOf<"reduceSum">): string {
  const { inputs, attributes, outputs } = node;
  const [x] = inputs as readonly [GraphTensor];
  const { kind, inputs: factors } = x.node;
  const size = x.shape.at(-1);
  const isDot =
    kind === "mul" &&
    x.dtype === "f32" &&
    x.shape.length === 2 &&
    typeof size === "number" &&
    size >= LONG_ROW &&
    attributes.axes.join() === "1" &&
    lowering.useCount(x) === 1 &&
    factors.every(({ shape }) => sameShape(shape, x.shape));
  if (!isDot) return reduction("ReduceSum")(lowering, node);
  const rows: Shape = [x.shape[0]!, 1, size];
  const [a, b] = factors.map((factor) =>
    lowering.reshape(lowering.nameOf(factor), factor.shape, rows),
  ) as [string, string];
  const dot = lowering.emit("FusedMatMul", [a, b], {
    domain: "com.microsoft",
    attributes: { transB: { int: 1 } },
  });
  return lowering.reshape(dot, [x.shape[0]!, 1, 1], outputs[0]!.shape);
}

/** A short list is sorted first: enough where the mass is in few ids, as in the laws of language models. */
const SHORT_HEAD = 64;

/** Only ids that can belong to the head are sorted: those of a short list, if it has more than `mass` in every row, else those with p > c,
 * c = (1 − mass)/V: the others have a mass of at most V·c together. How many they are differs from run to run. */
function lowerHeadSum(
  lowering: Lowering,
  { inputs: [p, x], attributes: { mass } }: NodeOf<"headSum">,
): string {
  const values = lowering.nameOf(p!);
  const limit = (0.99 * (1 - mass)) / (p!.shape.at(-1) as number);
  const last = { attributes: { keepdims: { int: 0 } } };
  const asFloat = (condition: string): string =>
    lowering.emit("Cast", [condition], { attributes: { to: { int: TENSOR_DATA_TYPE.f32 } } });
  const sumOf = (terms: string): string =>
    lowering.emit("ReduceSum", [terms, lowering.ints([-1])], last);
  const candidates = sumOf(asFloat(lowering.emit("Greater", [values, lowering.float(limit)])));
  const most = lowering.emit("ReduceMax", [candidates], last);
  const axis = { attributes: { axis: { int: -1 } } };
  const short = Math.min(SHORT_HEAD, p!.shape.at(-1) as number);
  const [shortList] = lowering.emitAll("TopK", [values, lowering.ints([short])], 2, axis) as [
    string,
  ];
  const leastMass = lowering.emit("ReduceMin", [sumOf(shortList)], last);
  const isEnough = lowering.emit("Greater", [leastMass, lowering.float(mass + 1e-5)]);
  const needed = lowering.emit("Where", [isEnough, lowering.float(short), most]);
  const atLeastOne = lowering.emit("Max", [needed, lowering.float(1)]);
  const count = lowering.emit("Cast", [atLeastOne], {
    attributes: { to: { int: TENSOR_DATA_TYPE.i64 } },
  });
  const k = lowering.emit("Reshape", [count, lowering.ints([1])]);
  const [sorted, ids] = lowering.emitAll("TopK", [values, k], 2, axis) as [string, string];
  const terms = lowering.emit("GatherElements", [lowering.nameOf(x!), ids], axis);
  const one = lowering.constant("i64", [], BigInt64Array.of(-1n));
  const until = lowering.emit("CumSum", [sorted, one]);
  // Nothing lies before the first id, and behind it at least 1/V, far above rounding.
  const first = lowering.emit("Less", [
    lowering.emit("Sub", [until, sorted]),
    lowering.float(1e-9),
  ]);
  const within = lowering.emit("LessOrEqual", [until, lowering.float(mass)]);
  const inHead = asFloat(lowering.emit("Or", [first, within]));
  return sumOf(lowering.emit("Mul", [terms, inHead]));
}

export const reductionLowering = {
  reduceSum: lowerReduceSum,
  reduceMean: reduction("ReduceMean"),
  reduceMax: reduction("ReduceMax"),
  reduceMin: reduction("ReduceMin"),
  argmax: (lowering, { inputs, attributes }) =>
    lowering.emit("ArgMax", lowering.namesOf(inputs), {
      attributes: { axis: { int: attributes.axis }, keepdims: { int: 0 } },
    }),
  headSum: lowerHeadSum,
  cumsum: (lowering, { inputs, attributes }) => {
    const axis = lowering.constant("i64", [], BigInt64Array.of(BigInt(attributes.axis)));
    return lowering.emit("CumSum", [...lowering.namesOf(inputs), axis], {
      attributes: { reverse: { int: attributes.reverse ? 1 : 0 } },
    });
  },
} satisfies LowerRules<ReductionOpName>;
