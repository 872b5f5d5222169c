import { ConfigFields } from "./config-fields.js";
import type { RopeConfig, RopeScaling } from "./model-config.js";

/** Rotary settings of config.json in both spellings: `rope_theta` + `rope_scaling` (transformers 4), `rope_parameters` (from 5). */
export function parseRope(
  fields: ConfigFields,
  { theta, contextLength }: { theta: number; contextLength: number },
): RopeConfig {
  if (fields.has("partial_rotary_factor") && fields.raw("partial_rotary_factor") !== 1) {
    throw fields.unsupported("partial_rotary_factor", "only whole heads are rotated");
  }
  const field = fields.has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  const outerTheta = fields.positive("rope_theta", theta);
  if (!fields.has(field)) return { theta: outerTheta, scaling: { kind: "none" } };
  const rope = new ConfigFields(fields.raw(field), `${field}.`);
  return {
    theta: rope.positive("rope_theta", outerTheta),
    scaling: parseScaling(rope, contextLength),
  };
}

function parseScaling(rope: ConfigFields, contextLength: number): RopeScaling {
  // The oldest checkpoints say `type`.
  const kind = rope.raw("rope_type") ?? rope.raw("type") ?? "default";
  switch (kind) {
    case "default":
      return { kind: "none" };
    case "linear":
      return { kind: "linear", factor: rope.positive("factor") };
    case "llama3":
      return {
        kind: "llama3",
        factor: rope.positive("factor"),
        lowFreqFactor: rope.positive("low_freq_factor"),
        highFreqFactor: rope.positive("high_freq_factor"),
        originalContextLength: rope.positive("original_max_position_embeddings", contextLength),
      };
    default:
      throw rope.unsupported(
        rope.has("rope_type") ? "rope_type" : "type",
        "supported are default, linear, llama3",
      );
  }
}
