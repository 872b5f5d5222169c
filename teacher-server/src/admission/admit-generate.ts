import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { SamplingParams } from "@tandem/shared/sampling/sampling-params.js";
import type { GenerateItem__Output as RawItem } from "@tandem/proto/gen/tandem/v1/GenerateItem.js";
import type { GenerateRequest__Output as RawRequest } from "@tandem/proto/gen/tandem/v1/GenerateRequest.js";
import { assertLength, assertNotEmpty } from "./admit-length.js";
import type { Priority } from "../scheduler/job.js";
import { admitPriority } from "./admit-priority.js";
import { admitSampling } from "./admit-sampling.js";
import { admitSignal, assertDenseRows } from "./admit-signal.js";
import { parseTokens } from "./parse-arrays.js";
import type { ServerLimits } from "./server-limits.js";
import type { ValidSignal } from "./valid-signal.js";

/** What all sequences of a Generate call share. */
export interface ValidGeneration {
  readonly sampling: SamplingParams;
  readonly maxResponse: number;
  readonly stopIds: ReadonlySet<number>;
  readonly runSeed: number;
  readonly signal: ValidSignal;
  readonly timeoutMs: number;
  readonly priority: Priority;
}

export interface ValidPrompt {
  readonly sequence: number;
  readonly rngKey: number;
  readonly prompt: Uint32Array;
}

/** @throws TandemError for faults of the whole call, naming field and limit. */
export function admitGeneration(raw: RawRequest, limits: ServerLimits): ValidGeneration {
  if (raw.maxResponse < 1) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      "max_response is 0; a response has room for at least one token",
      { field: "max_response" },
    );
  }
  if (raw.items.length > limits.maxSequences) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `items has ${raw.items.length} sequences; a call takes ${limits.maxSequences}`,
      {
        field: "items",
        limit: limits.maxSequences,
      },
    );
  }
  const signal = admitSignal(raw.signal, "signal", limits);
  assertDenseRows(signal, 1, "signal", limits);
  return {
    sampling: admitSampling(raw.sampling, "sampling"),
    maxResponse: raw.maxResponse,
    stopIds: new Set(raw.stopIds),
    runSeed: raw.runSeed,
    signal,
    timeoutMs: raw.timeoutMs,
    priority: admitPriority(raw.priority, "priority", "high"),
  };
}

/** @throws TandemError for faults of one sequence. */
export function admitPrompt(
  raw: RawItem,
  generation: ValidGeneration,
  limits: ServerLimits,
): ValidPrompt {
  const prompt = parseTokens(raw.prompt, "items.prompt", limits.vocabSize);
  assertNotEmpty(prompt, "items.prompt");
  assertLength(prompt.length + generation.maxResponse, "max_response", limits);
  return { sequence: raw.sequence, rngKey: raw.rngKey, prompt };
}
