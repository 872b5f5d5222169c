import type { ModelConfig } from "../checkpoint/model-config.js";
import { decode } from "../models/decoder.js";
import type { Graph, GraphTensor } from "../onnx/graph.js";
import { GraphBuilder } from "../onnx/graph-builder.js";
import { stateNumber, statePlace } from "../wire/state-number.js";
import type { BoundWeights } from "./bound-weights.js";
import { placeInputs } from "./place-inputs.js";

/** Names of what a layer is fed (its slots) and gives back (keys and values of the new tokens). */
export function slotNames(layer: number) {
  return {
    keySlots: `key.${layer}`,
    valueSlots: `value.${layer}`,
    newKeys: `key.${layer}.new`,
    newValues: `value.${layer}.new`,
  } as const;
}

/** The output that holds a hidden state: of the residual stream at the chosen rows, of what blocks project at all tokens, so that nothing is
 * computed for it where it is not fetched. */
export function stateName(number: number): string {
  const { kind, layer } = statePlace(number);
  return kind === "values" ? slotNames(layer - 1).newValues : `state.${number}`;
}

/** The transformer over KV slots. Inputs: ids [N], cos and sin [N,d/2] or positions [N], pack [N], unpack [R,L], starts [R],
 * hiddenRows [M], key.i and value.i [R,S,KH·d].
 * Outputs: hidden [N,D], state.i [M,D] (the residual stream by number, at the chosen rows), those of
 * queries and keys [N,·], key.i.new and value.i.new [N,KH·d], for the caller to
 * write into the slots: fetching whole slots would copy them at every run. */
export function buildBodyGraph(config: ModelConfig, weights: BoundWeights): Graph {
  const builder = new GraphBuilder();
  const { heads, kvHeads, headDim } = config;
  const ids = builder.input("ids", "i64", ["N"]);
  const places = placeInputs(builder, config, { tokens: ["N"] });
  const pack = builder.input("pack", "i64", ["N"]);
  const unpack = builder.input("unpack", "i64", ["R", "L"]);
  const starts = builder.input("starts", "i64", ["R"]);
  const hiddenRows = builder.input("hiddenRows", "i64", ["M"]);

  const attend = (layer: number, q: GraphTensor, k: GraphTensor, v: GraphTensor): GraphTensor => {
    const names = slotNames(layer);
    const slot = (name: string) => builder.input(name, "f32", ["R", "S", kvHeads * headDim]);
    const { output } = builder.slotAttention(
      {
        q: builder.gather(q, unpack, 0), // [R,L,H·d]
        k: builder.gather(k, unpack, 0),
        v: builder.gather(v, unpack, 0),
        keySlots: slot(names.keySlots),
        valueSlots: slot(names.valueSlots),
        starts,
      },
      { heads, kvHeads, scale: 1 / Math.sqrt(headDim) },
    );
    builder.output(names.newKeys, k);
    builder.output(names.newValues, v);
    return builder.gather(builder.reshape(output, ["R*L", heads * headDim]), pack, 0); // [N,H·d]
  };

  const output = decode(builder, config, weights.source(builder), {
    ids,
    places,
    attend,
  });
  builder.output("hidden", output.hidden);
  output.layers.forEach((layer, i) =>
    builder.output(stateName(i), builder.gather(layer, hiddenRows, 0)),
  );
  output.projections.forEach(({ queries, keys }, i) => {
    builder.output(stateName(stateNumber({ kind: "queries", layer: i + 1 })), queries);
    builder.output(stateName(stateNumber({ kind: "keys", layer: i + 1 })), keys);
  });
  return builder.build();
}
