import type { GraphTensor } from "@tandem/shared/onnx/graph.js";
import type { CausalAttentionOptions, Dim } from "@tandem/shared/tensor/tensor-ops.js";
import type { GraphOps, RuleContext } from "../gradient-rule.js";
import { result, scalarLike } from "../gradient-rule.js";

/** Sizes of one attention: B rows, T positions, KH key heads, G query heads on each, d their width. */
interface Heads {
  readonly ops: GraphOps;
  readonly rows: Dim;
  readonly positions: Dim;
  readonly width: number;
  readonly options: CausalAttentionOptions;
}

function headsOf(ops: GraphOps, q: GraphTensor, options: CausalAttentionOptions): Heads {
  const [rows, positions, width] = q.shape as readonly [Dim, Dim, number];
  return { ops, rows, positions, width: width / options.heads, options };
}

/** [B,T,h·d] → [B,h,T,d] */
function split({ ops, rows, positions, width }: Heads, x: GraphTensor, heads: number): GraphTensor {
  return ops.transpose(ops.reshape(x, [rows, positions, heads, width]), [0, 2, 1, 3]);
}

/** [B,h,T,d] → [B,T,h·d] */
function merge({ ops, rows, positions, width }: Heads, x: GraphTensor, heads: number): GraphTensor {
  return ops.reshape(ops.transpose(x, [0, 2, 1, 3]), [rows, positions, heads * width]);
}

/** [B,H,T,n] → [B,KH,G·T,n]: the queries of a group become rows that share one key head, so that products sum over the group. */
function fold({ ops, rows, options }: Heads, x: GraphTensor): GraphTensor {
  return ops.reshape(x, [rows, options.kvHeads, -1, x.shape.at(-1) as Dim]);
}

/** Gradients by q and k from that by the scores before scaling (dS = P∘(dP − row sums of dP∘P)). */
function throughScores(
  heads: Heads,
  dScores: GraphTensor,
  q: GraphTensor,
  k: GraphTensor,
): readonly [GraphTensor, GraphTensor] {
  const { ops, rows, positions, width, options } = heads;
  const scale = scalarLike(ops, q, options.scale);
  const keys = split(heads, k, options.kvHeads);
  const queries = fold(heads, split(heads, q, options.heads));
  const folded = fold(heads, dScores);
  const byQuery = ops.mul(ops.matmul(folded, keys), scale);
  const byKey = ops.mul(ops.matmul(folded, queries, { transA: true }), scale);
  const queryHeads = ops.reshape(byQuery, [rows, options.heads, positions, width]);
  return [merge(heads, queryHeads, options.heads), merge(heads, byKey, options.kvHeads)];
}

/** O = P·V, P = softmax(scale·q·kᵀ + causal mask). The row sums of dP∘P are those of dO∘O, which is smaller. */
export function attentionGradient({
  ops,
  node,
  gradient,
}: RuleContext<"causalAttention">): readonly GraphTensor[] {
  const [q, k, v] = node.inputs as readonly [GraphTensor, GraphTensor, GraphTensor];
  const heads = headsOf(ops, q, node.attributes);
  const { rows, positions, width, options } = heads;
  const probabilities = ops.causalProbabilities(q, k, options);
  const dOut = split(heads, gradient, options.heads);
  const values = split(heads, v, options.kvHeads);
  const byValue = ops.matmul(fold(heads, probabilities), fold(heads, dOut), { transA: true });
  const dFolded = ops.matmul(fold(heads, dOut), values, { transB: true });
  const dProbabilities = ops.reshape(dFolded, probabilities.shape);
  const products = ops.reshape(ops.mul(gradient, result(node)), [
    rows,
    positions,
    options.heads,
    width,
  ]);
  const sums = ops.transpose(ops.reduceSum(products, { axes: [-1], keepDims: true }), [0, 2, 1, 3]);
  const dScores = ops.mul(probabilities, ops.sub(dProbabilities, sums));
  const [byQ, byK] = throughScores(heads, dScores, q, k);
  return [byQ, byK, merge(heads, byValue, options.kvHeads)];
}

export function probabilitiesGradient({
  ops,
  node,
  gradient,
}: RuleContext<"causalProbabilities">): readonly GraphTensor[] {
  const [q, k] = node.inputs as readonly [GraphTensor, GraphTensor];
  const probabilities = result(node);
  const sums = ops.reduceSum(ops.mul(gradient, probabilities), { axes: [-1], keepDims: true });
  const dScores = ops.mul(probabilities, ops.sub(gradient, sums));
  return throughScores(headsOf(ops, q, node.attributes), dScores, q, k);
}
