import type { OpName } from "../../tensor/op-attributes.js";
import type { Graph, GraphNode, GraphOutput, GraphTensor, NodeOf } from "../graph.js";
import { graphInputs } from "../graph.js";
import type { OnnxAttributes, OnnxModel, OnnxNode } from "../onnx-model.js";
import { compoundLowering } from "./compound.js";
import { elementwiseLowering } from "./elementwise.js";
import { indexingLowering } from "./indexing.js";
import { inferenceOnlyLowering } from "./inference-only.js";
import type { LowerRule, LowerRules } from "./lower-rule.js";
import { Lowering } from "./lowering.js";
import { reductionLowering } from "./reduction.js";
import { shapeLowering } from "./shape.js";

const LOWER_RULES: LowerRules<OpName> = {
  input: (_, { attributes }) => attributes.name,
  parameter: (lowering, { attributes, outputs }) => {
    const { name, shape, bytes } = attributes;
    if ("kind" in bytes) {
      lowering.bindQuantized(outputs[0] as GraphTensor, { name, bytes });
      return name;
    }
    lowering.initializers.push({ name, dtype: bytes.dtype, shape, content: { external: bytes } });
    if (bytes.dtype !== "f32") lowering.bindHalf(outputs[0] as GraphTensor, name);
    return name;
  },
  constant: (lowering, { attributes }) =>
    lowering.constant(attributes.dtype, attributes.shape, attributes.data),
  ...elementwiseLowering,
  ...reductionLowering,
  ...shapeLowering,
  ...indexingLowering,
  ...compoundLowering,
  ...inferenceOnlyLowering,
  rowBlocks: lowerRowBlocks,
};

/** The ONNX nodes (opset 24 and com.microsoft) that compute a graph. */
export function lowerGraph(graph: Graph): OnnxModel {
  const lowering = new Lowering(graph.nodes);
  const inputs = graphInputs(graph);
  for (const node of inputs) lowerNode(lowering, node);
  for (const node of graph.nodes) if (node.kind !== "input") lowerNode(lowering, node);
  return {
    inputs: inputs.map((node) => node.attributes),
    outputs: graph.outputs.map(({ name, tensor: { dtype, shape } }) => ({ name, dtype, shape })),
    initializers: lowering.initializers,
    nodes: withoutDead(nameOutputs(lowering, graph.outputs), graph.outputs),
  };
}

function lowerNode(lowering: Lowering, node: GraphNode): void {
  const rule = LOWER_RULES[node.kind] as LowerRule<OpName>;
  const names = rule(lowering, node);
  node.outputs.forEach((output, index) => {
    lowering.bind(output, typeof names === "string" ? names : (names[index] as string));
  });
}

/** A Scan over blocks of rows: its slices are views, so only what the body computes takes memory, once for all blocks. Shared inputs are
 * seen from inside under their outer names. */
function lowerRowBlocks(
  lowering: Lowering,
  { inputs, attributes, outputs }: NodeOf<"rowBlocks">,
): readonly string[] {
  const { rowInputs, rowResults, blockRows } = attributes;
  const blocked = inputs.slice(0, rowInputs).map((input) => {
    const rest = input.shape.slice(1) as readonly number[];
    return lowering.emit("Reshape", [
      lowering.nameOf(input),
      lowering.ints([-1, blockRows, ...rest]),
    ]);
  });
  const body = lowerBody(attributes.body as Graph, {
    prefix: lowering.bodyPrefix(),
    rowInputs,
    shared: lowering.namesOf(inputs.slice(rowInputs)),
  });
  const results = lowering.append("Scan", blocked, {
    attributes: { body: { graph: body }, num_scan_inputs: { int: rowInputs } },
    results: outputs.length,
  });
  return results.map((result, index) => {
    if (index >= rowResults) {
      const options = { attributes: { keepdims: { int: 0 } } };
      return lowering.emit("ReduceSum", [result, lowering.ints([0])], options);
    }
    const rest = outputs[index]!.shape.slice(1) as readonly number[];
    return lowering.emit("Reshape", [result, lowering.ints([-1, ...rest])]);
  });
}

interface BodyOptions {
  readonly prefix: string;
  readonly rowInputs: number;
  /** Outer names of the inputs behind them. */
  readonly shared: readonly string[];
}

function lowerBody(graph: Graph, { prefix, rowInputs, shared }: BodyOptions): OnnxModel {
  const lowering = new Lowering(graph.nodes, prefix);
  const inputs = graphInputs(graph);
  const rowNames = inputs
    .slice(0, rowInputs)
    .map(({ attributes }) => `${prefix}/${attributes.name}`);
  const names = [...rowNames, ...shared];
  inputs.forEach(({ outputs }, index) => lowering.bind(outputs[0]!, names[index]!));
  for (const node of graph.nodes) if (node.kind !== "input") lowerNode(lowering, node);
  const results = graph.outputs.map(({ name, tensor }) => ({ name: `${prefix}/${name}`, tensor }));
  return {
    inputs: inputs.slice(0, rowInputs).map(({ attributes }, index) => ({
      ...attributes,
      name: rowNames[index]!,
    })),
    outputs: results.map(({ name, tensor: { dtype, shape } }) => ({ name, dtype, shape })),
    initializers: lowering.initializers,
    nodes: withoutDead(nameOutputs(lowering, results), results),
  };
}

/** Values that are results get their public names. An Identity is left only where a result is an input, a constant or named twice: it would copy, and in-place updates would not be in place. */
function nameOutputs(lowering: Lowering, outputs: readonly GraphOutput[]): readonly OnnxNode[] {
  const produced = new Set(lowering.nodes.flatMap((node) => node.outputs));
  const renamed = new Map<string, string>();
  const copies: { readonly from: string; readonly to: string }[] = [];
  for (const { name, tensor } of outputs) {
    const value = lowering.nameOf(tensor);
    if (produced.has(value) && !renamed.has(value)) renamed.set(value, name);
    else copies.push({ from: value, to: name });
  }
  const rename = (value: string): string => renamed.get(value) ?? value;
  const renameIn = (node: OnnxNode): OnnxNode => ({
    ...node,
    inputs: node.inputs.map(rename),
    outputs: node.outputs.map(rename),
    attributes: mapGraphs(node.attributes, (graph) => ({
      ...graph,
      nodes: graph.nodes.map(renameIn),
    })),
  });
  const nodes = lowering.nodes.map(renameIn);
  const identities = copies.map(({ from, to }): OnnxNode => {
    return {
      opType: "Identity",
      domain: "",
      inputs: [rename(from)],
      outputs: [to],
      attributes: {},
    };
  });
  return [...nodes, ...identities];
}

function mapGraphs(
  attributes: OnnxAttributes,
  change: (graph: OnnxModel) => OnnxModel,
): OnnxAttributes {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [
      name,
      "graph" in value ? { graph: change(value.graph) } : value,
    ]),
  );
}

/** What a rule has emitted and another one then did without; onnxruntime would compute it. */
function withoutDead(
  nodes: readonly OnnxNode[],
  outputs: readonly Pick<GraphOutput, "name">[],
): readonly OnnxNode[] {
  const needed = new Set(outputs.map(({ name }) => name));
  const live = nodes.toReversed().filter((node) => {
    if (!node.outputs.some((output) => needed.has(output))) return false;
    for (const input of valuesRead(node)) needed.add(input);
    return true;
  });
  return live.toReversed();
}

/** What a node reads, and what the graphs inside it do: the values around them under their own names. */
function valuesRead({ inputs, attributes }: OnnxNode): readonly string[] {
  const inside = Object.values(attributes).flatMap((value) =>
    "graph" in value ? value.graph.nodes.flatMap(valuesRead) : [],
  );
  return [...inputs, ...inside];
}
