import { broadcastShapes, sameShape } from "../broadcast.js";
import type { InferenceOpName } from "../op-attributes.js";
import type { Dim } from "../tensor-ops.js";
import { headWidth } from "./compound.js";
import type { TypeRules } from "./type-rule.js";
import { describe, inputsOf, requireDType, requireThat, tensorType } from "./type-rule.js";

export const inferenceOnlyTypes = {
  slotAttention: (inputs, options) => {
    const [q, k, v, keySlots, valueSlots, starts] = inputsOf(inputs, 6);
    const width = headWidth(q, k, options);
    requireDType(starts, "i64", "the starts of slotAttention");
    const rows = q.shape[0] as Dim;
    const slots = [rows, keySlots.shape[1] as Dim, options.kvHeads * width];
    const fits =
      q.shape.length === 3 &&
      sameShape(k.shape, v.shape) &&
      sameShape(keySlots.shape, slots) &&
      sameShape(valueSlots.shape, slots) &&
      sameShape(starts.shape, [rows]);
    requireThat(fits, () => `slotAttention: ${inputs.map(describe).join(", ")}`);
    return [q, keySlots, valueSlots];
  },
  topKDynamic: (inputs, { size }) => {
    const [x, k] = inputsOf(inputs, 2);
    requireDType(k, "i64", "the k of topKDynamic");
    requireThat(sameShape(k.shape, [1]), () => `topKDynamic: k is i64[1], got ${describe(k)}`);
    const shape = x.shape.with(-1, size);
    return [tensorType(x.dtype, shape), tensorType("i64", shape)];
  },
  countGreater: (inputs) => {
    const [x, threshold] = inputs.length === 3 ? inputsOf(inputs, 3) : inputsOf(inputs, 2);
    const shape = broadcastShapes(x.shape.slice(0, -1), threshold.shape, "countGreater");
    return [tensorType("i64", shape)];
  },
} satisfies TypeRules<InferenceOpName>;
