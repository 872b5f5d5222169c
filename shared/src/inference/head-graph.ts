import type { ModelConfig } from "../checkpoint/model-config.js";
import { logits } from "../models/decoder.js";
import type { Graph, GraphTensor } from "../onnx/graph.js";
import { GraphBuilder } from "../onnx/graph-builder.js";
import type { BoundWeights } from "./bound-weights.js";
import { addDraws } from "./draws-graph.js";

type G = GraphTensor;

/** What is asked of n laws is fed as sizes: lists of length 0 cost nothing, so one session answers every signal.
 *
 * Inputs: hidden [n,D]; k i64 [1] with 1 ≤ k ≤ V; targets [n]; taus [n,J]; atIds [n,A]; momentRows [M], massRows [W], denseRows [E] (rows of n); of `addDraws`.
 * Outputs, u being the raw logits: topIds, topLogits [n,k]; restShare [n] and restShareAt [n,J]: the softmax probability of the list's last entry
 * among the ids outside its first k−1; tokenLogit, rank [n]; atLogits [n,A]; logitSum, meanDepth [M] = Σ u_v and Σ p_v (max u − u_v);
 * massAbove [W] = Σ_{u_v > u_token} p_v; drawIds; dense [E,V].
 *
 * A row's bits must not depend on the rows beside it. Logarithms are therefore left to the caller (onnxruntime takes another one for the last
 * entries of a tensor), and sums over the vocabulary run over whole vectors (it sums a row in another order where its start is not aligned). */
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

  addNormalisers(builder, u, top);
  addToken(builder, u, { list: top.values, vocabulary });
  builder.output(
    "atLogits",
    builder.takeAlongAxis(u, builder.input("atIds", "i64", ["n", "A"]), 1),
  );
  addMoments(builder, u, top.values, vocabulary);
  addDraws(builder, u, vocabulary);
  builder.output("dense", builder.gather(u, builder.input("denseRows", "i64", ["E"]), 0));
  return builder.build();
}

/** What the normaliser is made of, at temperature 1 and at every τ.
 *
 * Only what is outside the list is summed over the vocabulary: softmax of the logits with the list masked gives the rest's
 * normaliser from its largest entry (the list's last), whose probability is never tiny. The list's own part is a sum over k numbers.
 * So a tail of any size keeps full relative precision, where 1 − Σ p of the list would cancel. */
function addNormalisers(
  builder: GraphBuilder,
  u: G,
  top: { readonly values: G; readonly indices: G },
): void {
  const inside = builder.slice(top.indices, 1, 0, -1); // [n,k−1]
  const insideLogits = builder.slice(top.values, 1, 0, -1); // [n,k−1]
  const masked = builder.scatterAlongAxis(
    u,
    inside,
    builder.broadcastTo(builder.scalar(-Infinity), insideLogits),
    1,
    "none",
  );
  const lastId = builder.slice(top.indices, 1, -1, Infinity); // [n,1]
  const share = builder.takeAlongAxis(builder.softmax(masked, 1), lastId, 1); // [n,1]
  builder.output("restShare", builder.squeeze(share, 1));

  const taus = builder.unsqueeze(builder.input("taus", "f32", ["n", "J"]), 2); // [n,J,1]
  const maskedAt = builder.div(builder.unsqueeze(masked, 1), taus); // [n,J,V]
  const lastIdAt = builder.expand(builder.unsqueeze(lastId, 1), ["n", "J", 1]);
  const shareAt = builder.takeAlongAxis(builder.softmax(maskedAt, 2), lastIdAt, 2); // [n,J,1]
  builder.output("restShareAt", builder.squeeze(shareAt, 2));
}

function addToken(
  builder: GraphBuilder,
  u: G,
  { list, vocabulary }: { list: G; vocabulary: number },
): void {
  const targets = builder.unsqueeze(builder.input("targets", "i64", ["n"]), 1); // [n,1]
  const own = builder.takeAlongAxis(u, targets, 1); // [n,1]
  builder.output("tokenLogit", builder.squeeze(own, 1));
  builder.output(
    "rank",
    builder.cast(builder.countGreater(u, builder.squeeze(own, 1), list), "i32"),
  );

  const rows = builder.input("massRows", "i64", ["W"]);
  const chosen = builder.gather(u, rows, 0); // [W,V]
  const above = builder.where(
    builder.greater(chosen, builder.gather(own, rows, 0)),
    builder.softmax(chosen, 1),
    builder.scalar(0),
  );
  builder.output("massAbove", sumOverVocabulary(builder, above, vocabulary));
}

/** The entropy is lse − Σ p·u = (lse − max) + Σ p·(max − u), whose terms are never negative; lse − Σ p·u itself would cancel. */
function addMoments(builder: GraphBuilder, u: G, topLogits: G, vocabulary: number): void {
  const rows = builder.input("momentRows", "i64", ["M"]);
  const chosen = builder.gather(u, rows, 0); // [M,V]
  const maximum = builder.slice(builder.gather(topLogits, rows, 0), 1, 0, 1); // [M,1]
  const depth = builder.mul(builder.softmax(chosen, 1), builder.sub(maximum, chosen));
  builder.output("logitSum", sumOverVocabulary(builder, chosen, vocabulary));
  builder.output("meanDepth", sumOverVocabulary(builder, depth, vocabulary));
}

/** Floats of a 64-byte vector: rows of such a length all start aligned. */
const ALIGNED_FLOATS = 16;

/** Sums [·,V] over V in an order that does not depend on the row's index. */
function sumOverVocabulary(builder: GraphBuilder, x: G, vocabulary: number): G {
  const missing = (ALIGNED_FLOATS - (vocabulary % ALIGNED_FLOATS)) % ALIGNED_FLOATS;
  return builder.reduceSum(missing === 0 ? x : builder.pad(x, 1, 0, missing), { axes: [1] });
}
