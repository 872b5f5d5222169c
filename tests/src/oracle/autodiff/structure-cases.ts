import type { GraphTensor } from "@tandem/shared/onnx/graph.js";
import type { TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import type { OpCase } from "./op-case.js";
import { floats, floatsOf, ids } from "./op-case.js";

type Xs = readonly [GraphTensor, GraphTensor, GraphTensor];
type Build = (ops: TensorOps<GraphTensor>, xs: Xs) => GraphTensor;

function of(name: string, inputs: OpCase["inputs"], build: Build): OpCase {
  return { name, inputs, build: (ops, xs) => build(ops, xs as Xs) };
}

const reductions = ["reduceSum", "reduceMean", "reduceMax", "reduceMin"] as const;

const reductionCases: readonly OpCase[] = [
  ...reductions.flatMap((op): OpCase[] => [
    of(`${op}, everything`, [floats(["N", 3])], (ops, [x]) => ops[op](x)),
    of(`${op}, the last axis`, [floats(["B", "T", 4])], (ops, [x]) => ops[op](x, { axes: [-1] })),
    of(`${op}, kept`, [floats(["B", "T", 4])], (ops, [x]) =>
      ops[op](x, { axes: [1], keepDims: true }),
    ),
    of(`${op}, two axes`, [floats(["B", "T", 4])], (ops, [x]) => ops[op](x, { axes: [0, -1] })),
    of(`${op}, no axis`, [floats(["N", 3])], (ops, [x]) => ops[op](x, { axes: [] })),
  ]),
  of("cumsum", [floats(["N", 3])], (ops, [x]) => ops.cumsum(x, -1)),
  of("cumsum reversed", [floats(["N", 3])], (ops, [x]) => ops.cumsum(x, 0, true)),
  of("argmax as an index", [floats(["N", 5])], (ops, [x]) => {
    return ops.takeAlongAxis(x, ops.unsqueeze(ops.argmax(x, -1), -1), -1);
  }),
  {
    name: "reduceMax gives its gradient to the first of equal maxima",
    inputs: [floatsOf([2, 3], [1, 4, 4, 2, 2, 2])],
    build: (ops, [x]) => ops.reduceMax(x as GraphTensor, { axes: [1] }),
    expected: [0, 1, 0, 1, 0, 0],
  },
  {
    name: "reduceMin over everything gives its gradient to the first in row-major order",
    inputs: [floatsOf([2, 3], [3, 4, 2, 2, 5, 2])],
    build: (ops, [x]) => ops.reduceMin(x as GraphTensor),
    expected: [0, 0, 1, 0, 0, 0],
  },
];

const shapeCases: readonly OpCase[] = [
  of("reshape folds rows", [floats(["B", "T", 4])], (ops, [x]) => ops.reshape(x, [-1, 4])),
  of("reshape unfolds rows", [floats(["B", "T", 4])], (ops, [x]) => {
    return ops.exp(ops.reshape(ops.exp(ops.reshape(x, ["B*T", 2, 2])), ["T", "B", 4]));
  }),
  of("reshape to a vector", [floats(["B", "T", 4])], (ops, [x]) => ops.reshape(x, [-1])),
  of("transpose", [floats(["B", "T", 4])], (ops, [x]) => ops.transpose(x, [2, 0, 1])),
  of("slice", [floats(["B", "T", 4])], (ops, [x]) => ops.slice(x, -1, 1, 3)),
  of("slice from the end", [floats(["B", "T", 4])], (ops, [x]) => ops.slice(x, 1, 1, -1)),
  of("slice to infinity", [floats(["B", "T", 4])], (ops, [x]) => ops.slice(x, 1, -2, Infinity)),
  of("slice at a symbol", [floats(["B", "T", 4])], (ops, [x]) => ops.slice(x, -1, "B", 4)),
  of("pad", [floats(["B", 2])], (ops, [x]) => ops.pad(x, -1, 1, "B")),
  of("concat", [floats(["B", "T"]), floats(["B", 2], 40), floats(["B", "T"], 80)], (ops, xs) =>
    ops.concat(xs, 1),
  ),
  of("expand", [floats(["T", 1])], (ops, [x]) => ops.expand(x, [2, "T", 4])),
  of("broadcastTo", [floats([1, 3]), floats(["N", 3], 40)], (ops, [x, like]) => {
    return ops.add(ops.mul(ops.broadcastTo(x, like), like), ops.broadcastTo(x, like));
  }),
  of("unsqueeze and squeeze", [floats(["N", 1, 3])], (ops, [x]) => {
    return ops.unsqueeze(ops.exp(ops.squeeze(x, 1)), -1);
  }),
  of("sizeOf", [floats(["B", "T"])], (ops, [x]) => ops.div(ops.reduceSum(x), ops.sizeOf("B*T"))),
];

/** Rows of probabilities; heads of mass ½: {1}, {0, 2}, {3} although it is heavier, {0, 1} of four equal ones. */
const probabilities = floatsOf(
  [4, 4],
  [0.1, 0.4, 0.3, 0.2, 0.25, 0.15, 0.25, 0.35, 0.1, 0.1, 0.1, 0.7, 0.25, 0.25, 0.25, 0.25],
);
const headCases: readonly OpCase[] = [
  {
    name: "headSum",
    inputs: [probabilities, floats([4, 4])],
    // x is chosen by p alone, here as a factor of itself.
    build: (ops, [p, x]) => {
      const own = ops.headSum(p as GraphTensor, x as GraphTensor, 0.5);
      return ops.mul(ops.reduceSum(x as GraphTensor, { axes: [1] }), ops.stopGradient(own));
    },
    wrt: [0],
    expected: Array<number>(16).fill(0),
  },
];

const indexingCases: readonly OpCase[] = [
  of("gather rows", [floats([5, 3]), ids(["B", 2], [4, 0, 4, 4])], (ops, [x, at]) =>
    ops.gather(x, at, 0),
  ),
  of("gather along the middle", [floats(["B", 5, 3]), ids(["T"], [2, 2, 0])], (ops, [x, at]) =>
    ops.gather(x, at, 1),
  ),
  of("gather of nothing behind", [floats(["B", "N"]), ids([2, 1], [3, 1])], (ops, [x, at]) =>
    ops.gather(x, at, -1),
  ),
  // The gradients of the gather and of the choice are added into that of the product, which is dense.
  of(
    "several scattered gradients of one tensor",
    [floats([4, 3]), ids([4], [1, 3, 1, 0])],
    (ops, [x, at]) => {
      const first = ops.gather(x, ops.slice(at, 0, 0, 1), 0);
      return ops.add(ops.mul(ops.gather(x, at, 0), x), ops.exp(first));
    },
  ),
  of("takeAlongAxis", [floats(["B", "V"]), ids(["B", 3], [4, 0, 4, 1, 2, 1])], (ops, [x, at]) =>
    ops.takeAlongAxis(x, at, -1),
  ),
  of(
    "scatterAlongAxis adding",
    [floats(["B", "V"]), ids(["B", 3], [4, 0, 4, 1, 2, 1]), floats(["B", 3], 40)],
    (ops, [x, at, updates]) => ops.scatterAlongAxis(x, at, updates, 1, "add"),
  ),
  of(
    "scatterAlongAxis writing",
    [floats(["B", "V"]), ids(["B", 3], [4, 0, 2, 1, 2, 3]), floats(["B", 3], 40)],
    (ops, [x, at, updates]) => ops.scatterAlongAxis(x, at, updates, 1, "none"),
  ),
  of("topK values", [floats(["B", "V"])], (ops, [x]) => ops.topK(x, 3, -1).values),
  of("topK indices", [floats(["B", "V"])], (ops, [x]) => {
    return ops.takeAlongAxis(x, ops.topK(x, 2, 1).indices, 1);
  }),
  {
    name: "topK takes the lower of equal indices",
    inputs: [floatsOf([1, 4], [1, 3, 3, 3])],
    build: (ops, [x]) => ops.topK(x as GraphTensor, 2, -1).values,
    expected: [0, 1, 1, 0],
  },
];

export const structureCases: readonly OpCase[] = [
  ...reductionCases,
  ...shapeCases,
  ...indexingCases,
  ...headCases,
];
