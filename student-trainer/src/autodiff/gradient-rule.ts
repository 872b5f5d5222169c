import type { GraphTensor, NodeOf } from "@tandem/shared/onnx/graph.js";
import type { TensorOpName } from "@tandem/shared/tensor/op-attributes.js";
import type { Shape, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";

export type GraphOps = TensorOps<GraphTensor>;

/** What a rule gets: the operation, its inputs and first result, and the gradient of the loss by that result. */
export interface RuleContext<O extends TensorOpName> {
  readonly ops: GraphOps;
  readonly node: NodeOf<O>;
  /** The gradient by the first result, of its shape. */
  readonly gradient: GraphTensor;
}

/** Emits the gradients by the inputs, in their order; undefined where there is none. A gradient may still have the
 * broadcast shape of the result: the walk sums it back. What is emitted for an unwanted input is dropped as dead code. */
export type GradientRule<O extends TensorOpName> = (
  context: RuleContext<O>,
) => readonly (GraphTensor | undefined)[];

/** Says in the rule table that nothing flows through an operation. */
export interface NoGradient {
  readonly noGradient: string;
}

export type GradientRules<O extends TensorOpName> = {
  readonly [K in O]: GradientRule<K> | NoGradient;
};

export function noGradient(reason: string): NoGradient {
  return { noGradient: reason };
}

/** Input number `index` of a node. */
export function operand(node: { readonly inputs: readonly GraphTensor[] }, index = 0): GraphTensor {
  return node.inputs[index] as GraphTensor;
}

/** The first result of a node. */
export function result(node: { readonly outputs: readonly GraphTensor[] }): GraphTensor {
  return node.outputs[0] as GraphTensor;
}

/** A number of the dtype of x. */
export function scalarLike(ops: GraphOps, x: GraphTensor, value: number): GraphTensor {
  return ops.scalar(value, x.dtype);
}

export function zeros(ops: GraphOps, x: GraphTensor, shape: Shape): GraphTensor {
  return ops.expand(scalarLike(ops, x, 0), shape);
}
