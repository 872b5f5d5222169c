import { TandemError } from "../errors/tandem-error.js";
import { bodyTypes } from "./infer/body.js";
import { compoundTypes } from "./infer/compound.js";
import { elementwiseTypes } from "./infer/elementwise.js";
import { indexingTypes } from "./infer/indexing.js";
import { inferenceOnlyTypes } from "./infer/inference-only.js";
import { reductionTypes } from "./infer/reduction.js";
import { shapeTypes } from "./infer/shape.js";
import type { TypeRule, TypeRules } from "./infer/type-rule.js";
import { describe } from "./infer/type-rule.js";
import type { OpAttributes, OpName } from "./op-attributes.js";
import type { Tensor } from "./tensor-ops.js";

const TYPE_RULES: TypeRules<OpName> = {
  input: (_, { dtype, shape }) => [{ dtype, shape }],
  parameter: (_, { shape }) => [{ dtype: "f32", shape }],
  constant: (_, { dtype, shape }) => [{ dtype, shape }],
  ...elementwiseTypes,
  ...reductionTypes,
  ...shapeTypes,
  ...indexingTypes,
  ...compoundTypes,
  ...inferenceOnlyTypes,
  ...bodyTypes,
};

/** Dtypes and shapes of an operation's results.
 * @throws INVALID_ARGUMENT naming the operation and its inputs when they do not fit together. */
export function inferTypes<O extends OpName>(
  op: O,
  inputs: readonly Tensor[],
  attributes: OpAttributes[O],
): readonly Tensor[] {
  const rule: TypeRule<OpAttributes[O]> = TYPE_RULES[op];
  try {
    return rule(inputs, attributes);
  } catch (caught) {
    const error = TandemError.from(caught);
    const given = inputs.map(describe).join(", ");
    throw new TandemError(error.code, `${op}(${given}): ${error.message}`, { cause: caught });
  }
}
