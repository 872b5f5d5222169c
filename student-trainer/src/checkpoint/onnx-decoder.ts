import type { ModelConfig } from "@tandem/shared/checkpoint/model-config.js";
import type { Attend } from "@tandem/shared/models/decoder-parts.js";
import { decode, logits, type PlaceInputs } from "@tandem/shared/models/decoder.js";
import { rotaryFrequencies } from "@tandem/shared/models/rope.js";
import { GraphBuilder } from "@tandem/shared/onnx/graph-builder.js";
import type { Graph, GraphTensor } from "@tandem/shared/onnx/graph.js";
import { modelParameters, type StudentModel } from "./student-model.js";

/** What is added to scores that must not count. Finite: a query that sees nothing (padding on the left) gets some number, not NaN. */
const HIDDEN_SCORE = -3e38;

/** How a weight enters the graph: as a constant, or as bytes in a file. */
export type WeightEntrance = (
  g: GraphBuilder,
  weight: {
    readonly name: string;
    readonly shape: readonly number[];
    readonly values: Float32Array;
  },
) => GraphTensor;

/** The whole model in the layout of optimum and transformers.js (task `text-generation-with-past`):
 * input_ids [B,T], attention_mask [B,P+T], position_ids [B,T], past_key_values.I.{key,value} [B,KH,P,d] →
 * logits [B,T,V], present.I.{key,value} [B,KH,P+T,d]. */
export function buildOnnxDecoder(model: StudentModel, enter: WeightEntrance): Graph {
  const { config } = model;
  const g = new GraphBuilder();
  const ids = g.input("input_ids", "i64", ["B", "T"]);
  const attentionMask = g.input("attention_mask", "i64", ["B", "P+T"]);
  const positions = g.reshape(g.input("position_ids", "i64", ["B", "T"]), ["B*T"]);
  const weights = new Map(modelParameters(model).map((each) => [each.name, enter(g, each)]));
  const weight = (name: string): GraphTensor => weights.get(name)!;
  const { hidden } = decode(g, config, weight, {
    ids: g.reshape(ids, ["B*T"]),
    places: placesOf(g, config, positions),
    attend: attendWithPast(g, config, visibleKeys(g, attentionMask)),
  });
  const flat = logits(g, config, weight, { hidden }); // [B·T,V]
  g.output("logits", g.reshape(flat, ["B", "T", config.vocabSize]));
  return g.build();
}

function placesOf(
  g: GraphBuilder,
  config: ModelConfig,
  positions: GraphTensor,
): PlaceInputs<GraphTensor> {
  if (config.family === "gpt2") return { kind: "learned", positions };
  const half = config.headDim / 2;
  const frequencies = g.constant(rotaryFrequencies(config), [1, half]);
  const angles = g.mul(g.reshape(g.cast(positions, "f32"), ["B*T", 1]), frequencies); // [B·T,d/2]
  return { kind: "rotary", cos: g.cos(angles), sin: g.sin(angles) };
}

/** Query t of T stands at key P+t: it sees the keys up to there that the mask admits. bool [B,1,1,T,P+T]. */
function visibleKeys(g: GraphBuilder, attentionMask: GraphTensor): GraphTensor {
  const keys = g.cumsum(g.expand(g.scalar(1), ["B", "P+T"]), 1); // 1, 2, …
  const queries = g.slice(keys, 1, "P", "P+T"); // [B,T]
  const behind = g.greaterEqual(g.unsqueeze(queries, 2), g.unsqueeze(keys, 1)); // [B,T,P+T]
  const admitted = g.greater(g.cast(attentionMask, "f32"), g.scalar(0));
  const visible = g.logicalAnd(behind, g.unsqueeze(admitted, 1));
  return g.reshape(visible, ["B", 1, 1, "T", "P+T"]);
}

/** Attention over past and new keys, query heads grouped by the key head that they share; the longer past leaves as `present`. */
function attendWithPast(
  g: GraphBuilder,
  { heads, kvHeads, headDim }: ModelConfig,
  visible: GraphTensor,
): Attend<GraphTensor> {
  const group = heads / kvHeads;
  const extend = (x: GraphTensor, layer: number, part: "key" | "value"): GraphTensor => {
    const past = g.input(`past_key_values.${layer}.${part}`, "f32", ["B", kvHeads, "P", headDim]);
    const own = g.transpose(g.reshape(x, ["B", "T", kvHeads, headDim]), [0, 2, 1, 3]);
    const present = g.concat([past, own], 2); // [B,KH,P+T,d]
    g.output(`present.${layer}.${part}`, present);
    return g.unsqueeze(present, 2); // [B,KH,1,P+T,d]
  };
  return (layer, q, k, v) => {
    const keys = extend(k, layer, "key");
    const values = extend(v, layer, "value");
    const queries = g.transpose(g.reshape(q, ["B", "T", kvHeads, group, headDim]), [0, 2, 3, 1, 4]);
    const scaled = g.mul(queries, g.scalar(1 / Math.sqrt(headDim)));
    const scores = g.matmul(scaled, keys, { transB: true }); // [B,KH,G,T,P+T]
    const seen = g.where(visible, scores, g.scalar(HIDDEN_SCORE));
    const mixed = g.matmul(g.softmax(seen, -1), values); // [B,KH,G,T,d]
    return g.reshape(g.transpose(mixed, [0, 3, 1, 2, 4]), ["B*T", heads * headDim]);
  };
}
