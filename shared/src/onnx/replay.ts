import { invariant } from "../errors/invariant.js";
import { evaluateDim } from "../tensor/dim.js";
import type { ConstantData, OpAttributes, TensorOpName } from "../tensor/op-attributes.js";
import type { Dim, Shape, Tensor, TensorOps } from "../tensor/tensor-ops.js";
import { TandemError } from "../errors/tandem-error.js";
import { graphInputs, type Graph, type GraphNode, type GraphTensor, type NodeOf } from "./graph.js";

type Sizes = ReadonlyMap<string, number>;

/** How one operation is asked of a TensorOps implementation; symbols of its attributes become numbers. */
type ReplayRule<A> = <T extends Tensor>(
  ops: TensorOps<T>,
  inputs: readonly T[],
  attributes: A,
  sizes: Sizes,
) => readonly T[];

type Unary = "neg" | "exp" | "log" | "sqrt" | "reciprocal" | "abs" | "tanh" | "sigmoid";
type OtherUnary = "erf" | "sin" | "cos" | "relu" | "silu" | "logicalNot" | "stopGradient";
type Arithmetic = "add" | "sub" | "mul" | "div" | "maximum" | "minimum";
type Choice = "greater" | "greaterEqual" | "less" | "equal" | "logicalAnd" | "logicalOr";
type Reduction = "reduceSum" | "reduceMean" | "reduceMax" | "reduceMin";

function unary(name: Unary | OtherUnary): ReplayRule<unknown> {
  return (ops, inputs) => [ops[name](at(inputs, 0))];
}

function binary(name: Arithmetic | Choice): ReplayRule<unknown> {
  return (ops, inputs) => [ops[name](at(inputs, 0), at(inputs, 1))];
}

function reduction(name: Reduction): ReplayRule<OpAttributes[Reduction]> {
  return (ops, inputs, attributes) => [ops[name](at(inputs, 0), attributes)];
}

function at<T>(inputs: readonly T[], index: number): T {
  const input = inputs[index];
  invariant(input !== undefined, "an operation has all its inputs");
  return input;
}

function numbers(shape: Shape, sizes: Sizes): readonly number[] {
  return shape.map((dim) => evaluateDim(dim, sizes));
}

const REPLAY_RULES: { readonly [O in TensorOpName]: ReplayRule<OpAttributes[O]> } = {
  add: binary("add"),
  sub: binary("sub"),
  mul: binary("mul"),
  div: binary("div"),
  maximum: binary("maximum"),
  minimum: binary("minimum"),
  neg: unary("neg"),
  exp: unary("exp"),
  log: unary("log"),
  sqrt: unary("sqrt"),
  reciprocal: unary("reciprocal"),
  abs: unary("abs"),
  tanh: unary("tanh"),
  sigmoid: unary("sigmoid"),
  erf: unary("erf"),
  sin: unary("sin"),
  cos: unary("cos"),
  relu: unary("relu"),
  silu: unary("silu"),
  gelu: (ops, inputs, { approximate }) => [ops.gelu(at(inputs, 0), approximate)],
  greater: binary("greater"),
  greaterEqual: binary("greaterEqual"),
  less: binary("less"),
  equal: binary("equal"),
  logicalAnd: binary("logicalAnd"),
  logicalOr: binary("logicalOr"),
  logicalNot: unary("logicalNot"),
  where: (ops, inputs) => [ops.where(at(inputs, 0), at(inputs, 1), at(inputs, 2))],
  cast: (ops, inputs, { dtype }) => [ops.cast(at(inputs, 0), dtype)],
  stopGradient: unary("stopGradient"),
  withGradient: (ops, inputs) => [ops.withGradient(at(inputs, 0), at(inputs, 1), at(inputs, 2))],
  reduceSum: reduction("reduceSum"),
  reduceMean: reduction("reduceMean"),
  reduceMax: reduction("reduceMax"),
  reduceMin: reduction("reduceMin"),
  argmax: (ops, inputs, { axis }) => [ops.argmax(at(inputs, 0), axis)],
  headSum: (ops, inputs, { mass }) => [ops.headSum(at(inputs, 0), at(inputs, 1), mass)],
  cumsum: (ops, inputs, { axis, reverse }) => [ops.cumsum(at(inputs, 0), axis, reverse)],
  reshape: (ops, inputs, { shape }, sizes) => [ops.reshape(at(inputs, 0), numbers(shape, sizes))],
  transpose: (ops, inputs, { permutation }) => [ops.transpose(at(inputs, 0), permutation)],
  slice: (ops, inputs, { axis, start, end }, sizes) => [
    ops.slice(at(inputs, 0), axis, evaluateDim(start, sizes), evaluateDim(end, sizes)),
  ],
  pad: (ops, inputs, { axis, before, after }, sizes) => [
    ops.pad(at(inputs, 0), axis, evaluateDim(before, sizes), evaluateDim(after, sizes)),
  ],
  sizeOf: (ops, _, { size }, sizes) => [ops.sizeOf(evaluateDim(size, sizes))],
  concat: (ops, inputs, { axis }) => [ops.concat(inputs, axis)],
  expand: (ops, inputs, { shape }, sizes) => [ops.expand(at(inputs, 0), numbers(shape, sizes))],
  gather: (ops, inputs, { axis }) => [ops.gather(at(inputs, 0), at(inputs, 1), axis)],
  takeAlongAxis: (ops, inputs, { axis }) => [ops.takeAlongAxis(at(inputs, 0), at(inputs, 1), axis)],
  scatterAlongAxis: (ops, inputs, { axis, reduction: mode }) => [
    ops.scatterAlongAxis(at(inputs, 0), at(inputs, 1), at(inputs, 2), axis, mode),
  ],
  topK: (ops, inputs, { k, axis }) => {
    const { values, indices } = ops.topK(at(inputs, 0), k, axis);
    return [values, indices];
  },
  matmul: (ops, inputs, options) => [ops.matmul(at(inputs, 0), at(inputs, 1), options)],
  softmax: (ops, inputs, { axis }) => [ops.softmax(at(inputs, 0), axis)],
  logSoftmax: (ops, inputs, { axis }) => [ops.logSoftmax(at(inputs, 0), axis)],
  logSumExp: (ops, inputs, { axis }) => [ops.logSumExp(at(inputs, 0), axis)],
  rmsNorm: (ops, inputs, { eps }) => [ops.rmsNorm(at(inputs, 0), at(inputs, 1), eps)],
  inverseRms: (ops, inputs, { eps }) => [ops.inverseRms(at(inputs, 0), eps)],
  layerNorm: (ops, inputs, { eps }) => [
    ops.layerNorm(at(inputs, 0), at(inputs, 1), at(inputs, 2), eps),
  ],
  rotary: (ops, inputs, { heads }) => [
    ops.rotary(at(inputs, 0), at(inputs, 1), at(inputs, 2), heads),
  ],
  causalAttention: (ops, inputs, options) => [
    ops.causalAttention(at(inputs, 0), at(inputs, 1), at(inputs, 2), options),
  ],
  causalProbabilities: (ops, inputs, options) => [
    ops.causalProbabilities(at(inputs, 0), at(inputs, 1), options),
  ],
};

/** Runs a graph on any implementation of TensorOps.
 * `feeds` holds every input and parameter by name; their sizes bind the symbols.
 * @throws INVALID_ARGUMENT for a missing feed or a size that contradicts another, UNIMPLEMENTED for an inference-only operation. */
export function replay<T extends Tensor>(
  graph: Graph,
  ops: TensorOps<T>,
  feeds: ReadonlyMap<string, T>,
): ReadonlyMap<string, T> {
  const sizes = bindSizes(graph, feeds);
  const values = new Map<GraphTensor, T>();
  const valueOf = (tensor: GraphTensor): T => {
    const value = values.get(tensor);
    invariant(value !== undefined, `${tensor.node.kind} is computed before its use`);
    return value;
  };
  for (const node of graph.nodes) {
    const results = replayNode(node, ops, { inputs: node.inputs.map(valueOf), feeds, sizes });
    node.outputs.forEach((output, index) => values.set(output, at(results, index)));
  }
  return new Map(graph.outputs.map(({ name, tensor }) => [name, valueOf(tensor)]));
}

interface ReplayContext<T> {
  readonly inputs: readonly T[];
  readonly feeds: ReadonlyMap<string, T>;
  readonly sizes: Sizes;
}

function replayNode<T extends Tensor>(
  node: GraphNode,
  ops: TensorOps<T>,
  { inputs, feeds, sizes }: ReplayContext<T>,
): readonly T[] {
  if (node.kind === "input" || node.kind === "parameter") {
    return [feedOf(feeds, node.attributes.name)];
  }
  if (node.kind === "constant") {
    const { data, shape, dtype } = node.attributes;
    return [ops.constant(plainValues(data), shape, dtype)];
  }
  if (
    node.kind === "slotAttention" ||
    node.kind === "topKDynamic" ||
    node.kind === "countGreater"
  ) {
    throw new TandemError("UNIMPLEMENTED", `${node.kind} can only be run by a session`);
  }
  if (node.kind === "rowBlocks") return replayRowBlocks(node, ops, inputs);
  const rule = REPLAY_RULES[node.kind] as ReplayRule<unknown>;
  return rule(ops, inputs, node.attributes, sizes);
}

function replayRowBlocks<T extends Tensor>(
  { attributes }: NodeOf<"rowBlocks">,
  ops: TensorOps<T>,
  inputs: readonly T[],
): readonly T[] {
  const { rowInputs, rowResults, blockRows } = attributes;
  const body = attributes.body as Graph;
  const names = graphInputs(body).map((node) => node.attributes.name);
  const total = at(inputs, 0).shape[0] as number;
  const blocks = Array.from({ length: total / blockRows }, (_, block) => {
    const own = inputs.map((input, index) =>
      index < rowInputs ? ops.slice(input, 0, block * blockRows, (block + 1) * blockRows) : input,
    );
    const results = replay(body, ops, new Map(names.map((name, index) => [name, own[index]!])));
    return [...results.values()];
  });
  return body.outputs.map((_, index) => {
    const parts = blocks.map((results) => at(results, index));
    return index < rowResults
      ? ops.concat(parts, 0)
      : parts.reduce((sum, own) => ops.add(sum, own));
  });
}

function plainValues(data: ConstantData): readonly number[] | BigInt64Array {
  return data instanceof BigInt64Array ? data : Array.from(data);
}

function feedOf<T>(feeds: ReadonlyMap<string, T>, name: string): T {
  const value = feeds.get(name);
  if (value === undefined) throw new TandemError("INVALID_ARGUMENT", `nothing is fed as "${name}"`);
  return value;
}

function bindSizes<T extends Tensor>(graph: Graph, feeds: ReadonlyMap<string, T>): Sizes {
  const sizes = new Map<string, number>();
  for (const node of graph.nodes) {
    if (node.kind !== "input") continue;
    const { name, shape } = node.attributes;
    const fed = feedOf(feeds, name).shape as readonly number[];
    shape.forEach((dim: Dim, axis) => {
      const size = fed[axis] as number;
      const expected = typeof dim === "number" ? dim : (sizes.get(dim) ?? size);
      if (fed.length !== shape.length || expected !== size) {
        throw new TandemError(
          "INVALID_ARGUMENT",
          `"${name}" is fed with shape [${fed.join(",")}], but [${shape.join(",")}] is declared and "${dim}" is ${expected}`,
        );
      }
      if (typeof dim === "string") sizes.set(dim, size);
    });
  }
  return sizes;
}
