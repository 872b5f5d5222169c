import { sameShape } from "../broadcast.js";
import type { IndexingOpName } from "../op-attributes.js";
import type { Dim, Tensor } from "../tensor-ops.js";
import type { TypeRules } from "./type-rule.js";
import { describe, inputsOf, requireDType, requireThat, tensorType } from "./type-rule.js";

function requireSameButAxis(x: Tensor, ids: Tensor, axis: number, what: string): void {
  const fits =
    x.shape.length === ids.shape.length &&
    sameShape(x.shape.with(axis, 0), ids.shape.with(axis, 0));
  requireThat(fits, () => `${what} along axis ${axis}: ${describe(x)} by ${describe(ids)}`);
}

export const indexingTypes = {
  gather: (inputs, { axis }) => {
    const [x, ids] = inputsOf(inputs, 2);
    requireDType(ids, "i64", "the ids of gather");
    return [tensorType(x.dtype, x.shape.toSpliced(axis, 1, ...ids.shape))];
  },
  takeAlongAxis: (inputs, { axis }) => {
    const [x, ids] = inputsOf(inputs, 2);
    requireDType(ids, "i64", "the ids of takeAlongAxis");
    requireSameButAxis(x, ids, axis, "takeAlongAxis");
    return [tensorType(x.dtype, ids.shape)];
  },
  scatterAlongAxis: (inputs, { axis }) => {
    const [x, ids, updates] = inputsOf(inputs, 3);
    requireDType(ids, "i64", "the ids of scatterAlongAxis");
    requireSameButAxis(x, ids, axis, "scatterAlongAxis");
    requireThat(sameShape(ids.shape, updates.shape) && updates.dtype === x.dtype, () => {
      return `scatterAlongAxis: updates ${describe(updates)} for ids ${describe(ids)} into ${describe(x)}`;
    });
    return [x];
  },
  topK: (inputs, { k, axis }) => {
    const [x] = inputsOf(inputs, 1);
    const size = x.shape[axis] as Dim;
    requireThat(Number.isInteger(k) && k >= 1 && (typeof size === "string" || k <= size), () => {
      return `topK: k ${k} of ${describe(x)} along axis ${axis}; allowed are 1 to ${size}`;
    });
    const shape = x.shape.with(axis, k);
    return [tensorType(x.dtype, shape), tensorType("i64", shape)];
  },
} satisfies TypeRules<IndexingOpName>;
