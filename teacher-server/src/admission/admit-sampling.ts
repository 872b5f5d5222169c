import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { unreachable } from "@tandem/shared/errors/invariant.js";
import { assertAcceptanceRule } from "@tandem/shared/sampling/accept.js";
import type { AcceptanceRule } from "@tandem/shared/sampling/acceptance.js";
import type { SamplingParams } from "@tandem/shared/sampling/sampling-params.js";
import type { AcceptanceRule__Output as RawRule } from "@tandem/proto/gen/tandem/v1/AcceptanceRule.js";
import type { Sampling__Output as RawSampling } from "@tandem/proto/gen/tandem/v1/Sampling.js";

/** K of the SKD paper, used when a client names no rule. */
const DEFAULT_RANK = 25;

/** @throws TandemError INVALID_ARGUMENT naming the field. */
export function admitSampling(raw: RawSampling | null, path: string): SamplingParams {
  if (raw === null) return { temperature: 0, topK: 0, topP: 1 };
  if (!(raw.temperature >= 0 && raw.temperature < Infinity)) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `${path}.temperature is ${raw.temperature}; give a finite number ≥ 0 (0 = greedy)`,
      {
        field: `${path}.temperature`,
      },
    );
  }
  if (!(raw.topP >= 0 && raw.topP <= 1)) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `${path}.top_p is ${raw.topP}; give a number from 0 to 1 (0 and 1 = off)`,
      { field: `${path}.top_p` },
    );
  }
  return { temperature: raw.temperature, topK: raw.topK, topP: raw.topP === 0 ? 1 : raw.topP };
}

/** @throws TandemError INVALID_ARGUMENT naming the field. */
export function admitRule(raw: RawRule | null, path: string): AcceptanceRule {
  const rule = ruleOf(raw, path);
  assertAcceptanceRule(rule, path);
  return rule;
}

function ruleOf(raw: RawRule | null, path: string): AcceptanceRule {
  switch (raw?.rule) {
    case undefined:
      return { kind: "rank", k: DEFAULT_RANK };
    case "rank":
      return { kind: "rank", k: raw?.rank ?? 0 };
    case "filtered":
      return { kind: "filtered", k: raw?.filtered ?? 0 };
    case "mixture":
      return { kind: "mixture", share: raw?.mixture ?? 0 };
    case "topP":
      return { kind: "top-p", p: raw?.topP ?? 0 };
    case "minP":
      return { kind: "min-p", p: raw?.minP ?? 0 };
    case "greedy":
      if (raw?.greedy === true) return { kind: "greedy" };
      throw new TandemError(
        "INVALID_ARGUMENT",
        `${path}.greedy is false; set it to true or choose rank, top_p or min_p`,
        { field: `${path}.greedy` },
      );
    default:
      return unreachable(raw?.rule as never);
  }
}
