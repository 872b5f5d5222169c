import type { TensorOpName } from "@tandem/shared/tensor/op-attributes.js";
import type { GradientRules } from "./gradient-rule.js";
import { compoundGradients } from "./rules/compound.js";
import { elementwiseGradients } from "./rules/elementwise.js";
import { indexingGradients } from "./rules/indexing.js";
import { reductionGradients } from "./rules/reduction.js";
import { shapeGradients } from "./rules/shape.js";

/** One rule for each operation of TensorOps; an operation without one does not compile. */
export const GRADIENT_RULES: GradientRules<TensorOpName> = {
  ...elementwiseGradients,
  ...reductionGradients,
  ...shapeGradients,
  ...indexingGradients,
  ...compoundGradients,
};
