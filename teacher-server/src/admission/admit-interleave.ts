import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { Draft__Output as RawDraft } from "@tandem/proto/gen/tandem/v1/Draft.js";
import type { Open__Output as RawOpen } from "@tandem/proto/gen/tandem/v1/Open.js";
import { assertLength, assertNotEmpty } from "./admit-length.js";
import { admitPriority } from "./admit-priority.js";
import { admitRows } from "./admit-rows.js";
import { admitRule, admitSampling } from "./admit-sampling.js";
import { admitSignal, assertDenseRows } from "./admit-signal.js";
import { parseTokens } from "./parse-arrays.js";
import type { ServerLimits } from "./server-limits.js";
import type { ValidDraft, ValidOpen } from "./valid-interleave.js";
import type { ValidSignal } from "./valid-signal.js";

/** Checks everything about an Open that needs no session.
 * @throws TandemError naming field and limit. */
export function admitOpen(raw: RawOpen, limits: ServerLimits): ValidOpen {
  const prompt = parseTokens(raw.prompt, "opens.prompt", limits.vocabSize);
  assertNotEmpty(prompt, "opens.prompt");
  const response = parseTokens(raw.response, "opens.response", limits.vocabSize);
  if (raw.maxResponse < 1) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      "opens.max_response is 0; a response has room for at least one token",
      {
        field: "opens.max_response",
      },
    );
  }
  assertLength(prompt.length + raw.maxResponse, "opens.max_response", limits);
  if (response.length > raw.maxResponse) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `opens.response has ${response.length} tokens, but max_response is ${raw.maxResponse}`,
      {
        field: "opens.response",
        limit: raw.maxResponse,
      },
    );
  }
  return {
    sequence: raw.sequence,
    rngKey: raw.rngKey,
    runSeed: raw.runSeed,
    prompt,
    response,
    maxResponse: raw.maxResponse,
    stopIds: new Set(raw.stopIds),
    rule: admitRule(raw.rule, "opens.rule"),
    sampling: admitSampling(raw.sampling, "opens.sampling"),
    signal: admitSignal(raw.signal, "opens.signal", limits),
    priority: admitPriority(raw.priority, "opens.priority", "high"),
  };
}

/** Checks everything about a Draft that the sequence's signal decides.
 * @throws TandemError naming field and limit. */
export function admitDraft(raw: RawDraft, signal: ValidSignal, limits: ServerLimits): ValidDraft {
  const tokens = parseTokens(raw.tokens, "drafts.tokens", limits.vocabSize);
  assertNotEmpty(tokens, "drafts.tokens");
  if (tokens.length > limits.maxDraftTokens) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `drafts.tokens has ${tokens.length} tokens; a block has at most ${limits.maxDraftTokens}: send several drafts`,
      {
        field: "drafts.tokens",
        limit: limits.maxDraftTokens,
      },
    );
  }
  assertDenseRows(signal, tokens.length, "opens.signal", limits);
  return {
    sequence: raw.sequence,
    start: raw.start,
    replacementsSeen: raw.replacementsSeen,
    tokens,
    ...admitRows(raw, { rows: tokens.length, path: "drafts", signal, limits }),
    timeoutMs: raw.timeoutMs,
  };
}
