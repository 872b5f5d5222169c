import { broadcastShapes, sameShape } from "../broadcast.js";
import type { AxisAttributes, CompoundOpName } from "../op-attributes.js";
import type { CausalAttentionOptions, Dim, Tensor } from "../tensor-ops.js";
import type { TypeRule, TypeRules } from "./type-rule.js";
import { describe, inputsOf, requireFloat, requireThat, tensorType } from "./type-rule.js";

const sameType: TypeRule<AxisAttributes> = (inputs) => {
  const [x] = inputsOf(inputs, 1);
  requireFloat(x, "softmax");
  return [x];
};

function requireVector(weight: Tensor, x: Tensor, what: string): void {
  const fits = weight.dtype === x.dtype && sameShape(weight.shape, x.shape.slice(-1));
  requireThat(fits, () => `${what}: a weight ${describe(weight)} for ${describe(x)}`);
}

/** Width of one head. @throws INVALID_ARGUMENT when the last axes are not whole heads of one width. */
export function headWidth(q: Tensor, k: Tensor, options: CausalAttentionOptions): number {
  const { heads, kvHeads } = options;
  const width = (q.shape.at(-1) as number) / heads;
  const fits =
    Number.isInteger(width) && heads % kvHeads === 0 && k.shape.at(-1) === width * kvHeads;
  requireThat(fits, () => {
    return `attention: ${heads} query and ${kvHeads} key heads do not divide ${describe(q)} and ${describe(k)}`;
  });
  return width;
}

export const compoundTypes = {
  matmul: (inputs, { transA, transB }) => {
    const [a, b] = inputsOf(inputs, 2);
    requireThat(a.shape.length >= 2 && b.shape.length >= 2 && a.dtype === b.dtype, () => {
      return `matmul needs two tensors of rank 2 or more and one dtype, got ${describe(a)} and ${describe(b)}`;
    });
    const [m, k] = (transA ? a.shape.slice(-2).toReversed() : a.shape.slice(-2)) as [Dim, Dim];
    const [inner, n] = (transB ? b.shape.slice(-2).toReversed() : b.shape.slice(-2)) as [Dim, Dim];
    requireThat(k === inner, () => {
      return `matmul: ${describe(a)}${transA ? "ᵀ" : ""} × ${describe(b)}${transB ? "ᵀ" : ""}: ${k} is not ${inner}`;
    });
    const batch = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2), "matmul");
    return [tensorType(a.dtype, [...batch, m, n])];
  },
  softmax: sameType,
  logSoftmax: sameType,
  logSumExp: (inputs, { axis }) => {
    const [x] = inputsOf(inputs, 1);
    requireFloat(x, "logSumExp");
    return [tensorType(x.dtype, x.shape.toSpliced(axis, 1))];
  },
  rmsNorm: (inputs) => {
    const [x, weight] = inputsOf(inputs, 2);
    requireVector(weight, x, "rmsNorm");
    return [x];
  },
  inverseRms: (inputs) => {
    const [x] = inputsOf(inputs, 1);
    return [tensorType(x.dtype, x.shape.with(-1, 1))];
  },
  layerNorm: (inputs) => {
    const [x, weight, bias] = inputsOf(inputs, 3);
    requireVector(weight, x, "layerNorm");
    requireVector(bias, x, "layerNorm");
    return [x];
  },
  rotary: (inputs, { heads }) => {
    const [x, cos, sin] = inputsOf(inputs, 3);
    const width = (x.shape.at(-1) as number) / heads;
    const table = [x.shape.at(-2) as Dim, width / 2];
    requireThat(
      (x.shape.length === 2 || x.shape.length === 3) &&
        sameShape(cos.shape, table) &&
        sameShape(sin.shape, table),
      () =>
        `rotary over ${heads} heads: ${describe(x)} with tables ${describe(cos)}, ${describe(sin)}`,
    );
    return [x];
  },
  causalAttention: (inputs, options) => {
    const [q, k, v] = inputsOf(inputs, 3);
    headWidth(q, k, options);
    const fits = q.shape.length === 3 && sameShape(k.shape, v.shape);
    requireThat(fits && sameShape(q.shape.slice(0, 2), k.shape.slice(0, 2)), () => {
      return `causalAttention: q ${describe(q)}, k ${describe(k)}, v ${describe(v)}`;
    });
    return [q];
  },
  causalProbabilities: (inputs, options) => {
    const [q, k] = inputsOf(inputs, 2);
    headWidth(q, k, options);
    const [rows, positions] = q.shape as [Dim, Dim];
    return [tensorType(q.dtype, [rows, options.heads, positions, positions])];
  },
} satisfies TypeRules<CompoundOpName>;
