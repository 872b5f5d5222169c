import type { ReductionOpName } from "../../tensor/op-attributes.js";
import type { GraphTensor } from "../graph.js";
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

export const reductionLowering = {
  reduceSum: reduction("ReduceSum"),
  reduceMean: reduction("ReduceMean"),
  reduceMax: reduction("ReduceMax"),
  reduceMin: reduction("ReduceMin"),
  argmax: (lowering, { inputs, attributes }) =>
    lowering.emit("ArgMax", lowering.namesOf(inputs), {
      attributes: { axis: { int: attributes.axis }, keepdims: { int: 0 } },
    }),
  cumsum: (lowering, { inputs, attributes }) => {
    const axis = lowering.constant("i64", [], BigInt64Array.of(BigInt(attributes.axis)));
    return lowering.emit("CumSum", [...lowering.namesOf(inputs), axis], {
      attributes: { reverse: { int: attributes.reverse ? 1 : 0 } },
    });
  },
} satisfies LowerRules<ReductionOpName>;
