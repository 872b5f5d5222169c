import type { ElementwiseOpName } from "../../tensor/op-attributes.js";
import type { GraphTensor, NodeOf } from "../graph.js";
import { TENSOR_DATA_TYPE } from "../onnx-proto.js";
import type { LowerRules } from "./lower-rule.js";
import type { Lowering } from "./lowering.js";

const direct =
  (opType: string) =>
  (lowering: Lowering, node: { readonly inputs: readonly GraphTensor[] }): string =>
    lowering.emit(opType, lowering.namesOf(node.inputs));

export const elementwiseLowering = {
  add: direct("Add"),
  sub: direct("Sub"),
  mul: direct("Mul"),
  div: direct("Div"),
  maximum: direct("Max"),
  minimum: direct("Min"),
  neg: direct("Neg"),
  exp: direct("Exp"),
  log: direct("Log"),
  sqrt: direct("Sqrt"),
  reciprocal: direct("Reciprocal"),
  abs: direct("Abs"),
  tanh: direct("Tanh"),
  sigmoid: direct("Sigmoid"),
  erf: direct("Erf"),
  sin: direct("Sin"),
  cos: direct("Cos"),
  relu: direct("Relu"),
  silu: (lowering, node) =>
    lowering.emit("QuickGelu", lowering.namesOf(node.inputs), {
      domain: "com.microsoft",
      attributes: { alpha: { float: 1 } },
    }),
  gelu: (lowering, { inputs, attributes }) =>
    lowering.emit("Gelu", lowering.namesOf(inputs), {
      attributes: { approximate: { string: attributes.approximate === "erf" ? "none" : "tanh" } },
    }),
  greater: direct("Greater"),
  greaterEqual: direct("GreaterOrEqual"),
  less: direct("Less"),
  equal: direct("Equal"),
  logicalAnd: direct("And"),
  logicalOr: direct("Or"),
  logicalNot: direct("Not"),
  where: direct("Where"),
  cast: (lowering, { inputs, attributes }) =>
    lowering.emit("Cast", lowering.namesOf(inputs), {
      attributes: { to: { int: TENSOR_DATA_TYPE[attributes.dtype] } },
    }),
  stopGradient: (lowering, { inputs }: NodeOf<"stopGradient">) => lowering.namesOf(inputs),
  withGradient: (lowering, { inputs }: NodeOf<"withGradient">) =>
    lowering.namesOf(inputs.slice(0, 1)),
} satisfies LowerRules<ElementwiseOpName>;
