import type { GraphTensor } from "@tandem/shared/onnx/graph.js";
import type { TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import type { OpCase } from "./op-case.js";
import { floats, floatsOf } from "./op-case.js";

type Xs = readonly [GraphTensor, GraphTensor, GraphTensor];
type Build = (ops: TensorOps<GraphTensor>, xs: Xs) => GraphTensor;

const positive = (value: number): number => 0.3 + Math.abs(value);

function of(name: string, inputs: OpCase["inputs"], build: Build): OpCase {
  return { name, inputs, build: (ops, xs) => build(ops, xs as Xs) };
}

const binaryNames = ["add", "sub", "mul", "div", "maximum", "minimum"] as const;
const unaryNames = [
  "neg",
  "exp",
  "abs",
  "tanh",
  "sigmoid",
  "erf",
  "sin",
  "cos",
  "relu",
  "silu",
] as const;
const positiveNames = ["log", "sqrt", "reciprocal"] as const;
const comparisonNames = ["greater", "greaterEqual", "less", "equal"] as const;

export const elementwiseCases: readonly OpCase[] = [
  ...binaryNames.flatMap((op): OpCase[] => [
    of(`${op}, equal shapes`, [floats(["N", 3]), floats(["N", 3], 40, positive)], (ops, [a, b]) =>
      ops[op](a, b),
    ),
    of(`${op}, a row repeated`, [floats(["B", "T", 2]), floats([2], 40, positive)], (ops, [a, b]) =>
      ops[op](a, b),
    ),
    of(`${op}, both repeated`, [floats(["N", 1]), floats([1, 3], 40, positive)], (ops, [a, b]) =>
      ops[op](a, b),
    ),
    of(`${op}, a scalar`, [floats([]), floats(["N", 3], 40, positive)], (ops, [a, b]) =>
      ops[op](a, b),
    ),
  ]),
  ...unaryNames.map((op) => of(op, [floats(["N", 3])], (ops, [x]) => ops[op](x))),
  ...unaryNames.map((op) => {
    const wide = floats(["N", 3], 7, (value) => 5 * value);
    return of(`${op}, far from zero`, [wide], (ops, [x]) => ops[op](x));
  }),
  ...positiveNames.map((op) => {
    return of(op, [floats(["N", 3], 1, positive)], (ops, [x]) => ops[op](x));
  }),
  of("gelu erf", [floats(["N", 4], 1, (x) => 4 * x)], (ops, [x]) => ops.gelu(x, "erf")),
  of("gelu tanh", [floats(["N", 4], 1, (x) => 4 * x)], (ops, [x]) => ops.gelu(x, "tanh")),
  ...comparisonNames.map((op) => {
    return of(
      `where over ${op}`,
      [floats(["N", 3]), floats([3], 40), floats(["N", 1], 80)],
      (ops, [a, b, c]) => ops.where(ops[op](a, c), a, b),
    );
  }),
  of("logical choice", [floats(["N", 3]), floats(["N", 3], 40)], (ops, [a, b]) => {
    const zero = ops.scalar(0);
    const both = ops.logicalAnd(ops.greater(a, zero), ops.logicalNot(ops.greater(b, zero)));
    return ops.where(ops.logicalOr(both, ops.less(b, ops.scalar(-0.5))), a, b);
  }),
  of("cast of a condition", [floats(["N", 3])], (ops, [x]) => {
    return ops.mul(x, ops.cast(ops.greater(x, ops.scalar(0)), "f32"));
  }),
  // x² with one factor held: the gradient is x, not 2x, which differences cannot see.
  {
    name: "stopGradient",
    inputs: [floatsOf([3], [1, 2, -3])],
    build: (ops, [x]) => ops.mul(x as GraphTensor, ops.stopGradient(x as GraphTensor)),
    expected: [1, 2, -3],
  },
  // Σ x² with its slope, and with one that is not: what is given is taken, and nothing flows into value or slope.
  of("withGradient", [floats(["N", 3])], (ops, [x]) => {
    const slope = ops.mul(x, ops.scalar(2));
    return ops.withGradient(ops.reduceSum(ops.mul(x, x), { axes: [1] }), x, slope);
  }),
  {
    name: "withGradient of another slope",
    inputs: [floatsOf([1, 3], [1, 2, -3])],
    build: (ops, [x]) => {
      const value = ops.reduceSum(ops.exp(x as GraphTensor), { axes: [1] });
      return ops.withGradient(value, x as GraphTensor, ops.neg(x as GraphTensor));
    },
    expected: [-1, -2, 3],
  },
  {
    name: "maximum at a tie",
    inputs: [floatsOf([3], [1, 2, 3]), floatsOf([3], [1, 5, 0])],
    build: (ops, [a, b]) => ops.maximum(a as GraphTensor, b as GraphTensor),
    expected: [1, 0, 1],
  },
  {
    name: "minimum at a tie",
    inputs: [floatsOf([3], [1, 2, 3]), floatsOf([3], [1, 5, 0])],
    build: (ops, [a, b]) => ops.minimum(a as GraphTensor, b as GraphTensor),
    expected: [1, 1, 0],
  },
  {
    name: "abs and relu at zero",
    inputs: [floatsOf([3], [0, 2, -3])],
    build: (ops, [x]) => ops.add(ops.abs(x as GraphTensor), ops.relu(x as GraphTensor)),
    expected: [0, 2, -1],
  },
];
