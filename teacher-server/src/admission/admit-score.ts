import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { ScoreItem__Output as RawScoreItem } from "@tandem/proto/gen/tandem/v1/ScoreItem.js";
import { assertLength, assertNotEmpty } from "./admit-length.js";
import type { Priority } from "../scheduler/job.js";
import { admitPriority } from "./admit-priority.js";
import { admitRows, type RowWishes } from "./admit-rows.js";
import { admitSignal, assertDenseRows } from "./admit-signal.js";
import { parseTokens } from "./parse-arrays.js";
import type { ServerLimits } from "./server-limits.js";
import type { ValidSignal } from "./valid-signal.js";

/** A ScoreItem that has passed every check. */
export interface ValidScoreItem extends RowWishes {
  readonly id: number;
  /** u32 [T]. */
  readonly tokens: Uint32Array;
  /** First row wanted, ≥ 1. */
  readonly from: number;
  /** Rows wanted, ≥ 1; with the law behind the last token. */
  readonly rows: number;
  readonly signal: ValidSignal;
  readonly runSeed: number;
  readonly rngKey: number;
  readonly timeoutMs: number;
  readonly priority: Priority;
}

/** @throws TandemError naming field and limit. */
export function admitScoreItem(raw: RawScoreItem, limits: ServerLimits): ValidScoreItem {
  const tokens = parseTokens(raw.tokens, "items.tokens", limits.vocabSize);
  assertNotEmpty(tokens, "items.tokens");
  assertLength(tokens.length, "items.tokens", limits);
  if (raw.from < 1 || raw.from > tokens.length) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `items.from is ${raw.from}; rows of ${tokens.length} tokens begin at 1 to ${tokens.length}`,
      {
        field: "items.from",
        limit: tokens.length,
      },
    );
  }
  const rows = tokens.length - raw.from + (raw.next ? 1 : 0);
  if (rows === 0) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `items.from is ${raw.from} of ${tokens.length} tokens, which leaves no row; lower it or set next`,
      {
        field: "items.from",
      },
    );
  }
  const signal = admitSignal(raw.signal, "items.signal", limits);
  assertDenseRows(signal, rows, "items.signal", limits);
  return {
    id: raw.id,
    tokens,
    from: raw.from,
    rows,
    signal,
    ...admitRows(raw, { rows, path: "items", signal, limits }),
    runSeed: raw.runSeed,
    rngKey: raw.rngKey,
    timeoutMs: raw.timeoutMs,
    priority: admitPriority(raw.priority, "items.priority", "normal"),
  };
}
