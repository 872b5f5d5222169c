import { broadcastShapes, sameShape } from "../tensor/broadcast.js";
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
