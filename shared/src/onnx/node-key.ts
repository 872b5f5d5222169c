import type { ConstantData, OpAttributes, OpName } from "../tensor/op-attributes.js";
import type { GraphTensor } from "./graph.js";

/** Larger constants are compared by identity only: hashing them costs more than it saves. */
const MAX_COMPARED_CONSTANT = 64;

/** Equal keys mean equal values: the basis of common-subexpression elimination. Undefined: never shared. */
export function nodeKey<O extends OpName>(
  kind: O,
  inputs: readonly GraphTensor[],
  attributes: OpAttributes[O],
): string | undefined {
  if (kind === "rowBlocks") return undefined;
  const record: OpAttributes[OpName] = attributes;
  const data = "data" in record ? (record.data as ConstantData) : undefined;
  if (data !== undefined && data.length > MAX_COMPARED_CONSTANT) return undefined;
  const operands = inputs.map((input) => `${input.node.id}.${input.index}`).join(",");
  return `${kind}(${operands})${JSON.stringify(attributes, plainValue)}`;
}

/** JSON has neither −0, infinities nor typed arrays. */
function plainValue(_: string, value: unknown): unknown {
  if (ArrayBuffer.isView(value)) return Array.from(value as Float32Array, plainString);
  if (Object.is(value, -0)) return "-0";
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}

function plainString(value: number | bigint): string {
  return Object.is(value, -0) ? "-0" : String(value);
}
