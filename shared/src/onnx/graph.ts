/** The immutable graph: what the builder records, what passes, printer, replay and serialiser read. No behaviour in it. */
import type { OpAttributes, OpName } from "../tensor/op-attributes.js";
import type { DType, Shape, Tensor } from "../tensor/tensor-ops.js";

/** One result of one node. */
export interface GraphTensor extends Tensor {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly node: GraphNode;
  /** Which of the node's results. */
  readonly index: number;
}

export interface NodeOf<O extends OpName> {
  readonly kind: O;
  /** Rising in the order of recording: inputs of a node always have smaller ids. */
  readonly id: number;
  readonly inputs: readonly GraphTensor[];
  readonly attributes: OpAttributes[O];
  readonly outputs: readonly GraphTensor[];
}

export type GraphNode = { [O in OpName]: NodeOf<O> }[OpName];

export interface GraphOutput {
  readonly name: string;
  readonly tensor: GraphTensor;
}

export interface Graph {
  /** Everything the outputs need, and all declared inputs; each node after its inputs. */
  readonly nodes: readonly GraphNode[];
  readonly outputs: readonly GraphOutput[];
}

/** The declared inputs, in the order of declaration. */
export function graphInputs(graph: Graph): readonly NodeOf<"input">[] {
  return graph.nodes.filter((node) => node.kind === "input");
}
