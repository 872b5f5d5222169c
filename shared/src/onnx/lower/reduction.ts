import { sameShape } from "../../tensor/broadcast.js";
import type { ReductionOpName } from "../../tensor/op-attributes.js";
import type { Shape } from "../../tensor/tensor-ops.js";
import type { GraphTensor, NodeOf } from "../graph.js";
import { LONG_ROW } from "../simplify.js";
import type { ReduceAttributes } from "../../tensor/op-attributes.js";
import { lowerHeadSum } from "./head-sum.js";
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
