import { formatShape } from "../tensor/broadcast.js";
import type { Graph, GraphNode, GraphTensor } from "./graph.js";

const SHOWN_CONSTANT_VALUES = 4;

/** One line per node, in the order of computation:
 * `%3 = matmul{transB=true}(%1, %2) : f32[N,8]`. Outputs end the text: `-> y=%3`. */
export function printGraph(graph: Graph): string {
  const names = new Map<GraphTensor, string>();
  const lines = graph.nodes.map((node, index) => {
    node.outputs.forEach((output, at) => {
      names.set(output, node.outputs.length === 1 ? `%${index}` : `%${index}.${at}`);
    });
    return printNode(node, names);
  });
  const results = graph.outputs.map(({ name, tensor }) => `${name}=${names.get(tensor)}`);
  return [...lines, `-> ${results.join(", ")}`].join("\n");
}

function printNode(node: GraphNode, names: ReadonlyMap<GraphTensor, string>): string {
  const results = node.outputs.map((output) => names.get(output)).join(", ");
  const types = node.outputs.map(({ dtype, shape }) => `${dtype}${formatShape(shape)}`).join(", ");
  const operands = node.inputs.map((input) => names.get(input)).join(", ");
  return `${results} = ${node.kind}${printAttributes(node)}(${operands}) : ${types}`;
}

function printAttributes(node: GraphNode): string {
  if (node.kind === "constant") {
    const { data } = node.attributes;
    const shown = Array.from(data.slice(0, SHOWN_CONSTANT_VALUES) as Float32Array, String);
    return `{${shown.join(",")}${data.length > SHOWN_CONSTANT_VALUES ? ",…" : ""}}`;
  }
  if (node.kind === "input" || node.kind === "parameter") return `{${node.attributes.name}}`;
  const entries = Object.entries(node.attributes as Readonly<Record<string, unknown>>);
  if (entries.length === 0) return "";
  return `{${entries.map(([name, value]) => `${name}=${printValue(value)}`).join(",")}}`;
}

function printValue(value: unknown): string {
  if (typeof value === "object" && value !== null && "nodes" in value) {
    return `\n  ${printGraph(value as Graph).replaceAll("\n", "\n  ")}\n`;
  }
  return Array.isArray(value) ? `[${value.join(",")}]` : String(value);
}
