import { sameShape } from "../broadcast.js";
import type { ReduceAttributes, ReductionOpName } from "../op-attributes.js";
import type { Dim } from "../tensor-ops.js";
import type { TypeRule, TypeRules } from "./type-rule.js";
import { describe, inputsOf, requireThat, tensorType } from "./type-rule.js";

const reduction: TypeRule<ReduceAttributes> = (inputs, { axes, keepDims }) => {
  const [x] = inputsOf(inputs, 1);
  const shape = x.shape.flatMap((dim, axis): Dim[] => {
    if (!axes.includes(axis)) return [dim];
    return keepDims ? [1] : [];
  });
  return [tensorType(x.dtype, shape)];
};

export const reductionTypes = {
  reduceSum: reduction,
  reduceMean: reduction,
  reduceMax: reduction,
  reduceMin: reduction,
  argmax: (inputs, { axis }) => {
    const [x] = inputsOf(inputs, 1);
    return [tensorType("i64", x.shape.toSpliced(axis, 1))];
  },
  headSum: (inputs, { mass }) => {
    const [p, x] = inputsOf(inputs, 2);
    requireThat(
      sameShape(p.shape, x.shape) && mass >= 0 && mass <= 1,
      () =>
        `headSum: two tensors of one shape and a mass in 0 … 1, not ${inputs.map(describe).join(", ")}, ${mass}`,
    );
    return [tensorType(p.dtype, p.shape.slice(0, -1))];
  },
  cumsum: (inputs) => [inputsOf(inputs, 1)[0]],
} satisfies TypeRules<ReductionOpName>;
