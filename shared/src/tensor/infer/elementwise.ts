import type { TypeRule, TypeRules } from "./type-rule.js";
import { broadcastShapes, sameShape } from "../broadcast.js";
import type { ElementwiseOpName, NoAttributes } from "../op-attributes.js";
import {
  describe,
  inputsOf,
  requireDType,
  requireFloat,
  requireThat,
  tensorType,
} from "./type-rule.js";

const binary: TypeRule<NoAttributes> = (inputs) => {
  const [a, b] = inputsOf(inputs, 2);
  requireThat(a.dtype === b.dtype && a.dtype !== "bool", () => {
    return `arithmetic needs two numeric tensors of one dtype, got ${describe(a)} and ${describe(b)}`;
  });
  return [tensorType(a.dtype, broadcastShapes(a.shape, b.shape))];
};

const comparison: TypeRule<NoAttributes> = (inputs) => {
  const [a, b] = inputsOf(inputs, 2);
  requireThat(a.dtype === b.dtype, () => {
    return `a comparison needs two tensors of one dtype, got ${describe(a)} and ${describe(b)}`;
  });
  return [tensorType("bool", broadcastShapes(a.shape, b.shape))];
};

const logical: TypeRule<NoAttributes> = (inputs) => {
  const [a, b] = inputsOf(inputs, 2);
  requireDType(a, "bool", "a logical operation");
  requireDType(b, "bool", "a logical operation");
  return [tensorType("bool", broadcastShapes(a.shape, b.shape))];
};

const floatUnary: TypeRule<unknown> = (inputs) => {
  const [x] = inputsOf(inputs, 1);
  requireFloat(x, "a function of one number");
  return [x];
};

const signedUnary: TypeRule<NoAttributes> = (inputs) => {
  const [x] = inputsOf(inputs, 1);
  requireThat(x.dtype !== "bool" && x.dtype !== "u8", () => `negation of ${describe(x)}`);
  return [x];
};

export const elementwiseTypes = {
  add: binary,
  sub: binary,
  mul: binary,
  div: binary,
  maximum: binary,
  minimum: binary,
  neg: signedUnary,
  exp: floatUnary,
  log: floatUnary,
  sqrt: floatUnary,
  reciprocal: floatUnary,
  abs: signedUnary,
  tanh: floatUnary,
  sigmoid: floatUnary,
  erf: floatUnary,
  sin: floatUnary,
  cos: floatUnary,
  relu: floatUnary,
  silu: floatUnary,
  gelu: floatUnary,
  greater: comparison,
  greaterEqual: comparison,
  less: comparison,
  equal: comparison,
  logicalAnd: logical,
  logicalOr: logical,
  logicalNot: (inputs) => {
    const [x] = inputsOf(inputs, 1);
    requireDType(x, "bool", "logicalNot");
    return [x];
  },
  where: (inputs) => {
    const [condition, a, b] = inputsOf(inputs, 3);
    requireDType(condition, "bool", "the condition of where");
    requireThat(a.dtype === b.dtype, () => `where: ${describe(a)} against ${describe(b)}`);
    const shape = broadcastShapes(condition.shape, broadcastShapes(a.shape, b.shape));
    return [tensorType(a.dtype, shape)];
  },
  cast: (inputs, { dtype }) => [tensorType(dtype, inputsOf(inputs, 1)[0].shape)],
  stopGradient: (inputs) => [inputsOf(inputs, 1)[0]],
  withGradient: (inputs) => {
    const [value, x, slope] = inputsOf(inputs, 3);
    requireThat(
      sameShape(value.shape, x.shape.slice(0, -1)) && sameShape(x.shape, slope.shape),
      () =>
        `withGradient: a value [...] with x and slope [..., n], not ${inputs.map(describe).join(", ")}`,
    );
    return [value];
  },
} satisfies TypeRules<ElementwiseOpName>;
