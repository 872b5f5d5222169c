import type { ModelConfig } from "../checkpoint/model-config.js";
import type { PlaceInputs } from "../models/decoder.js";
import type { GraphTensor } from "../onnx/graph.js";
import type { GraphBuilder } from "../onnx/graph-builder.js";
import type { Dim } from "../tensor/tensor-ops.js";

/** Inputs that say where tokens stand: cos and sin [...tokens, d/2], or positions [...tokens], their names behind the prefix. */
export function placeInputs(
  builder: GraphBuilder,
  config: ModelConfig,
  { prefix = "", tokens }: { readonly prefix?: string; readonly tokens: readonly Dim[] },
): PlaceInputs<GraphTensor> {
  if (config.family === "gpt2")
    return { kind: "learned", positions: builder.input(`${prefix}positions`, "i64", tokens) };
  const angles = [...tokens, config.headDim / 2];
  return {
    kind: "rotary",
    cos: builder.input(`${prefix}cos`, "f32", angles),
    sin: builder.input(`${prefix}sin`, "f32", angles),
  };
}
