import type { GraphTensor } from "@tandem/shared/onnx/graph.js";
import type { GraphOps, RuleContext } from "../gradient-rule.js";
import { operand, result, scalarLike } from "../gradient-rule.js";

const overLastAxis = { axes: [-1], keepDims: true } as const;

/** y = x̂·w with x̂ = x·r, r = 1/√(mean x² + ε): dx = r·(g·w − x̂·mean(g·w·x̂)), dw = Σ g·x̂. */
export function rmsNormGradient({
  ops,
  node,
  gradient: g,
}: RuleContext<"rmsNorm">): readonly GraphTensor[] {
  const [x, weight] = [operand(node, 0), operand(node, 1)];
  const r = ops.inverseRms(x, node.attributes.eps);
  const normal = ops.mul(x, r);
  const weighted = ops.mul(g, weight);
  const mean = ops.reduceMean(ops.mul(weighted, normal), overLastAxis);
  const byX = ops.mul(r, ops.sub(weighted, ops.mul(normal, mean)));
  return [byX, ops.mul(g, normal)];
}

/** r = (mean x² + ε)^−½: dx = −g·r³·x/D. */
export function inverseRmsGradient({
  ops,
  node,
  gradient: g,
}: RuleContext<"inverseRms">): readonly GraphTensor[] {
  const x = operand(node);
  const r = result(node);
  const width = x.shape.at(-1) as number;
  const cube = ops.mul(ops.mul(r, r), r);
  const factor = ops.mul(ops.mul(g, cube), scalarLike(ops, g, -1 / width));
  return [ops.mul(factor, x)];
}

/** With x̂ = (x−μ)·r: dx = r·(g·w − mean(g·w) − x̂·mean(g·w·x̂)), dw = Σ g·x̂, db = Σ g. */
export function layerNormGradient({
  ops,
  node,
  gradient: g,
}: RuleContext<"layerNorm">): readonly GraphTensor[] {
  const [x, weight] = [operand(node, 0), operand(node, 1)];
  const centered = ops.sub(x, ops.reduceMean(x, overLastAxis));
  const r = ops.inverseRms(centered, node.attributes.eps);
  const normal = ops.mul(centered, r);
  const weighted = ops.mul(g, weight);
  const byX = ops.mul(r, centeredProjection(ops, weighted, normal));
  return [byX, ops.mul(g, normal), g];
}

/** What is left of w after its mean and its part along x̂ are taken out. */
function centeredProjection(ops: GraphOps, w: GraphTensor, normal: GraphTensor): GraphTensor {
  const along = ops.reduceMean(ops.mul(w, normal), overLastAxis);
  const centered = ops.sub(w, ops.reduceMean(w, overLastAxis));
  return ops.sub(centered, ops.mul(normal, along));
}
