import { invariant } from "@tandem/shared/errors/invariant.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { GraphBuilder } from "@tandem/shared/onnx/graph-builder.js";
import type { GraphNode, GraphTensor } from "@tandem/shared/onnx/graph.js";
import { broadcastAxes, formatShape, sameShape } from "@tandem/shared/tensor/broadcast.js";
import type { TensorOpName } from "@tandem/shared/tensor/op-attributes.js";
import type { Shape } from "@tandem/shared/tensor/tensor-ops.js";
import type { GradientRule } from "./gradient-rule.js";
import { GRADIENT_RULES } from "./gradient-rules.js";

export interface GradientsOptions {
  /** Tensors whose (seeded) sum is differentiated. */
  readonly outputs: readonly GraphTensor[];
  /** The gradient by each output, of its shape. Default: ones. */
  readonly seeds?: readonly GraphTensor[];
  /** The tensors to differentiate by: inputs, parameters or anything in between. */
  readonly wrt: readonly GraphTensor[];
}

/** Reverse mode, graph to graph: records the gradients of Σ seed·output by each of `wrt` with the same builder.
 * Only nodes on a path from `wrt` to an output are visited. What no path reaches gets zeros.
 * @throws UNIMPLEMENTED when a path leads through an inference-only operation. */
export function gradients(
  builder: GraphBuilder,
  { outputs, seeds, wrt }: GradientsOptions,
): readonly GraphTensor[] {
  const nodes = ancestors(outputs);
  const wanted = dependents(nodes, wrt);
  const accumulated = new Map<GraphTensor, GraphTensor>();
  const accumulate = (x: GraphTensor, gradient: GraphTensor): void => {
    const fitted = unbroadcast(builder, gradient, x.shape);
    const known = accumulated.get(x);
    accumulated.set(x, known === undefined ? fitted : builder.add(known, fitted));
  };
  outputs.forEach((output, index) => {
    accumulate(output, seeds?.[index] ?? ones(builder, output));
  });
  for (const node of nodes.toReversed()) {
    const gradient = accumulated.get(node.outputs[0] as GraphTensor);
    if (gradient === undefined || !node.inputs.some((input) => wanted.has(input))) continue;
    const byInputs = applyRule(builder, node, gradient);
    node.inputs.forEach((input, index) => {
      const byInput = byInputs[index];
      if (byInput !== undefined && wanted.has(input) && isFloat(input)) accumulate(input, byInput);
    });
  }
  return wrt.map((x) => accumulated.get(x) ?? builder.expand(builder.scalar(0, x.dtype), x.shape));
}

function isFloat({ dtype }: GraphTensor): boolean {
  return dtype === "f32" || dtype === "f64" || dtype === "f16";
}

function ones(builder: GraphBuilder, like: GraphTensor): GraphTensor {
  return builder.expand(builder.scalar(1, like.dtype), like.shape);
}

/** Tensors that depend on a wanted one. */
function dependents(nodes: readonly GraphNode[], wrt: readonly GraphTensor[]): Set<GraphTensor> {
  const dependent = new Set(wrt);
  for (const node of nodes) {
    if (!node.inputs.some((input) => dependent.has(input))) continue;
    for (const output of node.outputs) dependent.add(output);
  }
  return dependent;
}

/** Everything the outputs are computed from, in recorded order: inputs before their use. */
function ancestors(outputs: readonly GraphTensor[]): readonly GraphNode[] {
  const reached = new Set<GraphNode>();
  const pending = outputs.map((output) => output.node);
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (reached.has(node)) continue;
    reached.add(node);
    for (const input of node.inputs) pending.push(input.node);
  }
  return [...reached].sort((a, b) => a.id - b.id);
}

function applyRule(
  builder: GraphBuilder,
  node: GraphNode,
  gradient: GraphTensor,
): readonly (GraphTensor | undefined)[] {
  if (node.kind === "input" || node.kind === "parameter" || node.kind === "constant") return [];
  if (
    node.kind === "slotAttention" ||
    node.kind === "topKDynamic" ||
    node.kind === "countGreater"
  ) {
    throw new TandemError(
      "UNIMPLEMENTED",
      `${node.kind} is for inference and has no gradient; keep it out of the loss`,
    );
  }
  if (node.kind === "rowBlocks") {
    throw new TandemError(
      "UNIMPLEMENTED",
      "rowBlocks has no gradient; take the gradients inside its body",
    );
  }
  const rule = GRADIENT_RULES[node.kind];
  if ("noGradient" in rule) return [];
  const apply = rule as GradientRule<TensorOpName>;
  const byInputs = apply({ ops: builder, node, gradient });
  invariant(byInputs.length === node.inputs.length, `${node.kind}: one gradient per input`);
  return byInputs;
}

/** Sums a gradient over the axes along which its tensor was broadcast. */
function unbroadcast(builder: GraphBuilder, gradient: GraphTensor, shape: Shape): GraphTensor {
  if (sameShape(gradient.shape, shape)) return gradient;
  const axes = broadcastAxes(shape, gradient.shape);
  invariant(
    axes.length > 0,
    `a gradient ${formatShape(gradient.shape)} belongs to ${formatShape(shape)}`,
  );
  return builder.reshape(builder.reduceSum(gradient, { axes }), shape);
}
