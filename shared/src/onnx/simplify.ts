import { broadcastShapes, sameShape } from "../tensor/broadcast.js";
import type { Shape } from "../tensor/tensor-ops.js";
import type { GraphTensor } from "./graph.js";

/** Operations that broadcast their two operands. */
export type BroadcastingOpName =
  | "add"
  | "sub"
  | "mul"
  | "div"
  | "maximum"
  | "minimum"
  | "greater"
  | "greaterEqual"
  | "less"
  | "equal";

/** An operand that was expanded only to meet the other one need not be: the operation broadcasts by itself. */
export function narrowOperands(
  a: GraphTensor,
  b: GraphTensor,
): readonly [GraphTensor, GraphTensor] {
  if (a.node.kind !== "expand" && b.node.kind !== "expand") return [a, b];
  const shape = broadcastShapes(a.shape, b.shape);
  const narrow = (x: GraphTensor, other: GraphTensor): GraphTensor => {
    const source = x.node.kind === "expand" ? x.node.inputs[0] : undefined;
    if (source === undefined) return x;
    return sameShape(broadcastShapes(source.shape, other.shape), shape) ? source : x;
  };
  const left = narrow(a, b);
  return [left, narrow(b, left)];
}

/** Zeros of any shape, as a gradient rule makes them. */
export function isZeros({ node }: GraphTensor): boolean {
  const source = node.kind === "expand" ? node.inputs[0]?.node : undefined;
  return (
    source?.kind === "constant" && source.attributes.data.every((value) => Number(value) === 0)
  );
}

/** A large tensor and the one number of each row, or of all, that it is multiplied with. */
export interface ScaledTensor {
  readonly large: GraphTensor;
  readonly column: GraphTensor;
}

/** The parts of a product with a column (of its last axis) or a scalar: what multiplies or divides it further can be taken together with these. */
export function scaledTensor({ node, shape }: GraphTensor): ScaledTensor | undefined {
  if (node.kind !== "mul") return undefined;
  const [a, b] = node.inputs as readonly [GraphTensor, GraphTensor];
  if (isColumn(b, shape) && sameShape(a.shape, shape)) return { large: a, column: b };
  if (isColumn(a, shape) && sameShape(b.shape, shape)) return { large: b, column: a };
  return undefined;
}

/** From this length on, a pass over a row costs more than starting another operation. */
export const LONG_ROW = 1024;

/** A large tensor and the one number of each row that is subtracted from it. */
export interface ShiftedTensor {
  readonly large: GraphTensor;
  readonly shift: GraphTensor;
}

/** The parts of long rows minus a column. Shifts are kept outermost, where they can be put together, or be taken from a sum instead of from its terms. */
export function shiftedTensor({ node, shape }: GraphTensor): ShiftedTensor | undefined {
  const size = shape.at(-1);
  if (node.kind !== "sub" || typeof size !== "number" || size < LONG_ROW) return undefined;
  const [large, shift] = node.inputs as readonly [GraphTensor, GraphTensor];
  if (!isColumn(shift, shape) || shift.shape.length !== shape.length) return undefined;
  return sameShape(large.shape, shape) ? { large, shift } : undefined;
}

/** The logits of which x is the log-softmax along the last axis, written as logits − their log-sum-exp. */
export function softmaxLogits(x: GraphTensor): GraphTensor | undefined {
  const { large, shift } = shiftedTensor(x) ?? {};
  const source = shift?.node.kind === "reshape" ? shift.node.inputs[0]!.node : undefined;
  if (source?.kind !== "logSumExp" || source.inputs[0] !== large) return undefined;
  return source.attributes.axis === x.shape.length - 1 ? large : undefined;
}

/** The parts of the terms law·(values − shift), whose sum over a row is Σ law·values − shift, as a law's is 1. */
export function shiftedMean(
  terms: GraphTensor,
): (ShiftedTensor & { readonly law: GraphTensor }) | undefined {
  if (terms.node.kind !== "mul") return undefined;
  const [a, b] = terms.node.inputs as readonly [GraphTensor, GraphTensor];
  for (const [law, values] of [[a, b] as const, [b, a] as const]) {
    const parts = shiftedTensor(values);
    const { node, shape } = law;
    if (parts === undefined || node.kind !== "softmax" || !sameShape(shape, values.shape)) continue;
    if (node.attributes.axis === shape.length - 1) return { ...parts, law };
  }
  return undefined;
}

/** Is x the same along the last axis of what it meets, which is longer than one? */
export function isColumn(x: GraphTensor, shape: Shape): boolean {
  return shape.length > 0 && shape.at(-1) !== 1 && (x.shape.at(-1) ?? 1) === 1;
}
