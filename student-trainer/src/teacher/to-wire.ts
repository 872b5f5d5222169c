import type { AcceptanceRule as WireRule } from "@tandem/proto/gen/tandem/v1/AcceptanceRule.js";
import type { Sampling as WireSampling } from "@tandem/proto/gen/tandem/v1/Sampling.js";
import type { SignalSpec as WireSpec } from "@tandem/proto/gen/tandem/v1/SignalSpec.js";
import { unreachable } from "@tandem/shared/errors/invariant.js";
import type { AcceptanceRule } from "@tandem/shared/sampling/acceptance.js";
import type { SamplingParams } from "@tandem/shared/sampling/sampling-params.js";
import type { SignalSpec } from "@tandem/shared/wire/teacher-signal.js";

import type { TeacherOptions } from "./teacher-options.js";

const DENSE = {
  none: "DENSE_TYPE_UNSPECIFIED",
  f16: "DENSE_TYPE_F16",
  f32: "DENSE_TYPE_F32",
} as const;

export function toWireSpec(
  spec: SignalSpec,
  { encoding, maxLogitError }: Pick<TeacherOptions, "encoding" | "maxLogitError">,
): WireSpec {
  return {
    topK: spec.topK,
    topPMass: spec.topPMass,
    omitTopIds: spec.omitTopIds,
    logProbs: spec.logProbs,
    lse: spec.lse,
    token: spec.token,
    moments: spec.moments,
    taus: [...spec.taus],
    draws: spec.draws,
    ...(spec.drawTemperature === 1 ? {} : { drawTemperature: spec.drawTemperature }),
    dense: DENSE[spec.dense],
    hiddenLayers: [...spec.hiddenLayers],
    encoding: encoding === "compact" ? "ENCODING_COMPACT" : "ENCODING_PLAIN",
    ...(encoding === "compact" ? { maxLogitError } : {}),
  };
}

export function toWireRule(rule: AcceptanceRule): WireRule {
  switch (rule.kind) {
    case "rank":
      return { rank: rule.k };
    case "filtered":
      return { filtered: rule.k };
    case "mixture":
      return { mixture: rule.share };
    case "top-p":
      return { topP: rule.p };
    case "min-p":
      return { minP: rule.p };
    case "greedy":
      return { greedy: true };
    default:
      return unreachable(rule);
  }
}

export function toWireSampling(sampling: SamplingParams): WireSampling {
  return { temperature: sampling.temperature, topK: sampling.topK, topP: sampling.topP };
}
