import type { ModelConfig } from "../checkpoint/model-config.js";
import { logits } from "../models/decoder.js";
import type { Graph } from "../onnx/graph.js";
import { GraphBuilder } from "../onnx/graph-builder.js";
import type { BoundWeights } from "./bound-weights.js";

/** The head of a model that only writes: what sampling one token per row needs, and nothing that costs more.
 *
 * Inputs: hidden [n,D]; k i64 [1]; massRows [W] and temperatures [W,1]; denseRows [E].
 * Outputs: topIds, topLogits [n,k]; masses [W,V] = softmax(u/τ); dense [E,V]. */
export function buildDraftGraph(
  config: ModelConfig,
  weights: BoundWeights,
  vocabulary: number,
): Graph {
  const builder = new GraphBuilder();
  const hidden = builder.input("hidden", "f32", ["n", config.hiddenSize]);
  const cut = { ...config, vocabSize: vocabulary };
  const u = logits(builder, cut, weights.source(builder), { hidden }); // [n,V]

  const top = builder.topKDynamic(u, builder.input("k", "i64", [1]), "k");
  builder.output("topIds", builder.cast(top.indices, "i32"));
  builder.output("topLogits", top.values);

  const chosen = builder.gather(u, builder.input("massRows", "i64", ["W"]), 0); // [W,V]
  const temperatures = builder.input("temperatures", "f32", ["W", 1]);
  // Softmax goes row by row: Exp over the whole array would take another path at its end, and bits would depend on the rows beside.
  builder.output("masses", builder.softmax(builder.div(chosen, temperatures), 1));

  builder.output("dense", builder.gather(u, builder.input("denseRows", "i64", ["E"]), 0));
  return builder.build();
}
