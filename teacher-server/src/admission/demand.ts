import { stateWidth } from "@tandem/shared/wire/state-number.js";
import { tierOf } from "../scheduler/tier-of.js";
import { AnsweredDrafts } from "../sessions/answered-drafts.js";
import type { ServerLimits } from "./server-limits.js";
import type { ValidPrompt, ValidGeneration } from "./admit-generate.js";
import type { ValidScoreItem } from "./admit-score.js";
import type { ValidDraft, ValidOpen } from "./valid-interleave.js";
import type { ValidSignal } from "./valid-signal.js";

/** What an item takes while it is here. */
export interface Demand {
  /** Its own arrays and those of its answer. */
  readonly bytes: number;
  /** Positions that have to go through the model, if nothing of it is cached. */
  readonly positions: number;
  /** How urgent they are, as `tierOf`. */
  readonly tier: number;
  /** When it stops being worth computing; Infinity = never. */
  readonly deadlineMs: number;
  /** How the client wrote it. */
  readonly field: string;
}

/** Objects, maps and closures around the arrays of one item. */
const ITEM_BYTES = 2048;

export function scoreDemand(
  item: ValidScoreItem,
  limits: ServerLimits,
  deadlineMs: number,
): Demand {
  const wishes = arrayBytes(item.tokens, item.taus, item.atOffsets, item.atIds);
  const tauCount = (item.taus?.length ?? 0) / item.rows;
  const answer =
    item.rows * rowBytes(item.signal, tauCount, limits) + 4 * (item.atIds?.length ?? 0);
  const positions = item.tokens.length;
  const tier = tierOf({ priority: item.priority, kind: "score" });
  return { bytes: ITEM_BYTES + wishes + answer, positions, tier, deadlineMs, field: "items" };
}

/** An open sequence: what it holds while nothing is asked of it, and what is known of it, which is computed ahead of the first draft or with it. */
export function openDemand(open: ValidOpen, deadlineMs: number): Demand {
  const tokens = 2 * 4 * (open.prompt.length + open.maxResponse);
  const stops = 64 * open.stopIds.size;
  const bytes = ITEM_BYTES + tokens + stops + AnsweredDrafts.bytesOf(open.maxResponse);
  const positions = open.prompt.length + open.response.length - 1;
  const tier = tierOf({ priority: open.priority, kind: "prefill" });
  return { bytes, positions, tier, deadlineMs, field: "opens" };
}

export function draftDemand(
  draft: ValidDraft,
  { signal, priority }: Pick<ValidOpen, "signal" | "priority">,
  { limits, deadlineMs }: { readonly limits: ServerLimits; readonly deadlineMs: number },
): Demand {
  const rows = draft.tokens.length;
  const tauCount = (draft.taus?.length ?? 0) / rows;
  const answer = rows * rowBytes(signal, tauCount, limits) + 4 * (draft.atIds?.length ?? 0);
  const wishes = arrayBytes(draft.tokens, draft.taus, draft.atOffsets, draft.atIds);
  const bytes = ITEM_BYTES + wishes + answer;
  const tier = tierOf({ priority, kind: "draft" });
  return { bytes, positions: rows, tier, deadlineMs, field: "drafts" };
}

/** A sequence that the teacher writes: its answers leave row by row. */
export function promptDemand(
  prompt: ValidPrompt,
  generation: ValidGeneration,
  { limits, deadlineMs }: { readonly limits: ServerLimits; readonly deadlineMs: number },
): Demand {
  const length = prompt.prompt.length + generation.maxResponse;
  const bytes = ITEM_BYTES + 3 * 4 * length + rowBytes(generation.signal, 0, limits);
  const tier = tierOf({ priority: generation.priority, kind: "generate" });
  return { bytes, positions: length, tier, deadlineMs, field: "items" };
}

/** Bytes of one row of a signal, without ragged logits. */
function rowBytes({ spec }: ValidSignal, tausPerRow: number, limits: ServerLimits): number {
  const taus = spec.taus.length + tausPerRow;
  const scalars = 4 * (2 + 2 + 3);
  const lists = 8 * spec.topK + 12 * taus + 12 * spec.draws;
  const dense = spec.dense === "none" ? 0 : 4 * limits.vocabSize;
  const widths = { ...limits, width: limits.hiddenSize };
  const states = spec.hiddenLayers.reduce((sum, own) => sum + 4 * stateWidth(own, widths), 0);
  return scalars + lists + dense + states;
}

function arrayBytes(...arrays: readonly (ArrayBufferView | undefined)[]): number {
  return arrays.reduce((sum, array) => sum + (array?.byteLength ?? 0), 0);
}
