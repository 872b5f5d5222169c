import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { parseStateNumber } from "@tandem/shared/wire/state-number.js";
import { NO_SIGNAL, type SignalSpec } from "@tandem/shared/wire/teacher-signal.js";
import type { SignalSpec__Output as RawSignalSpec } from "@tandem/proto/gen/tandem/v1/SignalSpec.js";
import type { SignalEncoding } from "../scheduler/engine-step.js";
import { assertTau, assertTauCount, assertTaus } from "./admit-rows.js";
import type { ServerLimits } from "./server-limits.js";
import type { ValidSignal } from "./valid-signal.js";

/** The default of `max_logit_error`, stated in the contract. */
const DEFAULT_MAX_LOGIT_ERROR = 0.01;

const NO_VALID_SIGNAL: ValidSignal = {
  spec: NO_SIGNAL,
  encoding: { encoding: "plain", maxLogitError: DEFAULT_MAX_LOGIT_ERROR },
};

/** Checks a signal spec against the model and the limits; an absent one asks for nothing. `path` is where it was written (`opens.signal`).
 * @throws TandemError INVALID_ARGUMENT or NOT_FOUND (layer), naming field and limit. */
export function admitSignal(
  raw: RawSignalSpec | null,
  path: string,
  limits: ServerLimits,
): ValidSignal {
  if (raw === null) return NO_VALID_SIGNAL;
  const maxTopK = Math.min(limits.maxTopK, limits.vocabSize);
  assertAtMost(raw.topK, maxTopK, `${path}.top_k`, "raise --max-logprobs or ask for `dense`");
  const topPMass = topPMassOf(raw, path);
  assertAtMost(raw.draws, limits.maxDraws, `${path}.draws`, "ask for fewer");
  const drawTemperature = raw.drawTemperature ?? 1;
  assertTau(drawTemperature, `${path}.draw_temperature`);
  assertTauCount(raw.taus.length, `${path}.taus`, limits);
  assertTaus(raw.taus, `${path}.taus`);
  const dense = denseOf(raw, path);
  assertForm(raw, path);
  assertHiddenLayers(raw.hiddenLayers, `${path}.hidden_layers`, limits);
  const spec: SignalSpec = {
    topK: raw.topK,
    topPMass,
    omitTopIds: raw.omitTopIds,
    logProbs: raw.logProbs,
    lse: raw.lse,
    token: raw.token,
    moments: raw.moments,
    taus: raw.taus,
    draws: raw.draws,
    drawTemperature,
    dense,
    hiddenLayers: raw.hiddenLayers,
  };
  return { spec, encoding: encodingOf(raw, path) };
}

/** @throws TandemError INVALID_ARGUMENT when the dense part of that many rows exceeds its limit. */
export function assertDenseRows(
  signal: ValidSignal,
  rows: number,
  path: string,
  limits: ServerLimits,
): void {
  if (signal.spec.dense === "none") return;
  const bytes = rows * limits.vocabSize * (signal.spec.dense === "f16" ? 2 : 4);
  if (bytes <= limits.maxDenseBytes) return;
  throw new TandemError(
    "INVALID_ARGUMENT",
    `${path}.dense of ${rows} rows with ${limits.vocabSize} logits has ${bytes} bytes; the limit is ${limits.maxDenseBytes}: ask for fewer rows or for top_k`,
    { field: `${path}.dense`, limit: limits.maxDenseBytes },
  );
}

function encodingOf(raw: RawSignalSpec, path: string): SignalEncoding {
  const field = `${path}.max_logit_error`;
  const maxLogitError = raw.maxLogitError ?? DEFAULT_MAX_LOGIT_ERROR;
  if (!(maxLogitError >= 0 && maxLogitError < Infinity)) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `${field} is ${maxLogitError}; give nats ≥ 0 (0 = exact)`,
      { field },
    );
  }
  switch (raw.encoding) {
    case "ENCODING_UNSPECIFIED":
    case "ENCODING_PLAIN":
      return { encoding: "plain", maxLogitError };
    case "ENCODING_COMPACT":
      return { encoding: "compact", maxLogitError };
    default:
      // An enum number this build does not know arrives as that number.
      throw new TandemError(
        "INVALID_ARGUMENT",
        `${path}.encoding is ${String(raw.encoding)}; PLAIN (1) and COMPACT (2) are known`,
        {
          field: `${path}.encoding`,
        },
      );
  }
}

/** 1 where lists are to be whole. */
function topPMassOf({ topK, topPMass }: RawSignalSpec, path: string): number {
  const field = `${path}.top_p_mass`;
  if (!(topPMass >= 0 && topPMass <= 1)) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `${field} is ${topPMass}; give a probability, 0 or 1 for whole lists`,
      { field },
    );
  }
  if (topPMass === 0 || topPMass === 1) return 1;
  if (topK > 0) return topPMass;
  throw new TandemError(
    "INVALID_ARGUMENT",
    `${field} is ${topPMass}, but ${path}.top_k is 0; set it to the length of the longest list`,
    { field },
  );
}

/** @throws TandemError INVALID_ARGUMENT for log-probabilities beside parts that are raw, and for a list without ids where there is no list. */
function assertForm(raw: RawSignalSpec, path: string): void {
  const rawParts = {
    moments: raw.moments,
    taus: raw.taus.length > 0,
    dense: raw.dense !== "DENSE_TYPE_UNSPECIFIED",
  };
  const beside = Object.entries(rawParts).find(([, asked]) => asked)?.[0];
  if (raw.logProbs && beside !== undefined) {
    const field = `${path}.log_probs`;
    throw new TandemError(
      "INVALID_ARGUMENT",
      `${field} is set beside ${path}.${beside}, which speaks of raw logits; leave out one of them`,
      { field },
    );
  }
  if (raw.omitTopIds && raw.topK === 0) {
    const field = `${path}.omit_top_ids`;
    throw new TandemError(
      "INVALID_ARGUMENT",
      `${field} is set, but ${path}.top_k is 0: there are no ids to leave out; set top_k`,
      { field },
    );
  }
}

function denseOf(raw: RawSignalSpec, path: string): SignalSpec["dense"] {
  switch (raw.dense) {
    case "DENSE_TYPE_UNSPECIFIED":
      return "none";
    case "DENSE_TYPE_F16":
      return "f16";
    case "DENSE_TYPE_F32":
      return "f32";
    default:
      throw new TandemError(
        "INVALID_ARGUMENT",
        `${path}.dense is ${String(raw.dense)}; F16 (1) and F32 (2) are known`,
        { field: `${path}.dense` },
      );
  }
}

function assertHiddenLayers(layers: readonly number[], field: string, limits: ServerLimits): void {
  for (const layer of layers) {
    if (parseStateNumber(layer, limits.layers) !== undefined) continue;
    throw new TandemError(
      "NOT_FOUND",
      `${field} asks for layer ${layer}; the model has 0 (embedding) to ${limits.layers}, and of blocks 1 to ${limits.layers} queries (65536 + i), keys (131072 + i) and values (196608 + i)`,
      {
        field,
        limit: limits.layers,
      },
    );
  }
  const named = new Set<number>();
  for (const layer of layers) {
    if (named.size === named.add(layer).size)
      throw new TandemError("INVALID_ARGUMENT", `${field} names layer ${layer} twice`, { field });
  }
}

function assertAtMost(value: number, limit: number, field: string, advice: string): void {
  if (value <= limit) return;
  throw new TandemError(
    "INVALID_ARGUMENT",
    `${field} is ${value}; the limit is ${limit}: ${advice}`,
    { field, limit },
  );
}
