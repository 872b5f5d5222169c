import type { ModelConfig } from "../checkpoint/model-config.js";
import { logits } from "../models/decoder.js";
import type { Graph, GraphTensor } from "../onnx/graph.js";
import { GraphBuilder } from "../onnx/graph-builder.js";
import type { BoundWeights } from "./bound-weights.js";

type G = GraphTensor;

/** What is asked of n laws is fed as sizes: lists of length 0 cost nothing, so one session answers every signal.
 *
 * Inputs: hidden [n,D]; k i64 [1] with 1 ≤ k ≤ V; targets [n]; taus [n,J]; atIds [n,A]; momentRows [M], massRows [W], denseRows [E] (rows of n).
 * Outputs, u being the raw logits: topIds, topLogits [n,k]; lse [n]; restLse [n] = log Σ exp(u) without the first k−1 of the list;
 * lseAt, restLseAt [n,J]; tokenLogit, rank [n]; atLogits [n,A]; meanLogit, entropy [M]; massAbove [W] = Σ_{u_v > u_token} p_v; dense [E,V]. */
export function buildHeadGraph(
  config: ModelConfig,
  weights: BoundWeights,
  vocabulary: number,
): Graph {
  const builder = new GraphBuilder();
  const hidden = builder.input("hidden", "f32", ["n", config.hiddenSize]);
  const u = logits(builder, { ...config, vocabSize: vocabulary }, weights.source(builder), {
    hidden,
  }); // [n,V]

  const top = builder.topKDynamic(u, builder.input("k", "i64", [1]), "k");
  builder.output("topIds", builder.cast(top.indices, "i32"));
  builder.output("topLogits", top.values);

  const lse = addNormalisers(builder, u, top);
  addToken(builder, u);
  builder.output(
    "atLogits",
    builder.takeAlongAxis(u, builder.input("atIds", "i64", ["n", "A"]), 1),
  );
  addMoments(builder, u, lse);
  builder.output("dense", builder.gather(u, builder.input("denseRows", "i64", ["E"]), 0));
  return builder.build();
}

/** lse and its part outside the list, at temperature 1 and at every τ.
 *
 * Only what is outside the list is summed over the vocabulary: softmax of the logits with the list masked gives the rest's
 * normaliser from its largest entry (the list's last), whose probability is never tiny. The list's own part is a sum over k numbers.
 * So a tail of any size keeps full relative precision, where 1 − Σ p of the list would cancel. */
function addNormalisers(
  builder: GraphBuilder,
  u: G,
  top: { readonly values: G; readonly indices: G },
): G {
  const inside = builder.slice(top.indices, 1, 0, -1); // [n,k−1]
  const insideLogits = builder.slice(top.values, 1, 0, -1); // [n,k−1]
  const masked = builder.scatterAlongAxis(
    u,
    inside,
    builder.broadcastTo(builder.scalar(-Infinity), insideLogits),
    1,
    "none",
  );
  const last = builder.slice(top.values, 1, -1, Infinity); // [n,1]
  const lastId = builder.slice(top.indices, 1, -1, Infinity); // [n,1]

  const lastOfRest = builder.takeAlongAxis(builder.logSoftmax(masked, 1), lastId, 1); // [n,1]
  const restLse = builder.sub(last, lastOfRest); // [n,1]
  const lse = rowLogSumExp(builder, builder.concat([insideLogits, restLse], 1), 1); // [n,1]
  builder.output("restLse", builder.squeeze(restLse, 1));
  builder.output("lse", builder.squeeze(lse, 1));

  const taus = builder.unsqueeze(builder.input("taus", "f32", ["n", "J"]), 2); // [n,J,1]
  const at = (x: G): G => builder.div(builder.unsqueeze(x, 1), taus); // [n,·] → [n,J,·]
  const lastIdAt = builder.expand(builder.unsqueeze(lastId, 1), ["n", "J", 1]);
  const lastAt = builder.takeAlongAxis(builder.logSoftmax(at(masked), 2), lastIdAt, 2); // [n,J,1]
  const restAt = builder.sub(at(last), lastAt); // [n,J,1]
  const lseAt = rowLogSumExp(builder, builder.concat([at(insideLogits), restAt], 2), 2); // [n,J,1]
  builder.output("restLseAt", builder.squeeze(restAt, 2));
  builder.output("lseAt", builder.squeeze(lseAt, 2));
  return lse;
}

/** log Σ exp along an axis that is kept with length 1: an entry minus its log-probability. Exp and Log over a whole array compute its last
 * elements on another path than the rest, so that a row's bits would depend on the rows beside it; LogSoftmax goes row by row. */
function rowLogSumExp(builder: GraphBuilder, x: G, axis: number): G {
  return builder.sub(
    builder.slice(x, axis, 0, 1),
    builder.slice(builder.logSoftmax(x, axis), axis, 0, 1),
  );
}

function addToken(builder: GraphBuilder, u: G): void {
  const targets = builder.unsqueeze(builder.input("targets", "i64", ["n"]), 1); // [n,1]
  const own = builder.takeAlongAxis(u, targets, 1); // [n,1]
  builder.output("tokenLogit", builder.squeeze(own, 1));
  builder.output("rank", builder.cast(builder.countGreater(u, builder.squeeze(own, 1)), "i32"));

  const rows = builder.input("massRows", "i64", ["W"]);
  const chosen = builder.gather(u, rows, 0); // [W,V]
  const probability = builder.softmax(chosen, 1);
  const above = builder.where(
    builder.greater(chosen, builder.gather(own, rows, 0)),
    probability,
    builder.scalar(0),
  );
  builder.output("massAbove", builder.reduceSum(above, { axes: [1] }));
}

/** The entropy is summed as Σ p·(lse − u), whose terms are never negative: lse − Σ p·u would cancel. */
function addMoments(builder: GraphBuilder, u: G, lse: G): void {
  const rows = builder.input("momentRows", "i64", ["M"]);
  const chosen = builder.gather(u, rows, 0); // [M,V]
  const surprise = builder.sub(builder.gather(lse, rows, 0), chosen);
  builder.output("meanLogit", builder.reduceMean(chosen, { axes: [1] }));
  builder.output(
    "entropy",
    builder.reduceSum(builder.mul(builder.softmax(chosen, 1), surprise), { axes: [1] }),
  );
}
