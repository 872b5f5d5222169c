import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { parseFloat32s, parseTokens, parseUint32s } from "./parse-arrays.js";
import type { ServerLimits } from "./server-limits.js";
import type { ValidSignal } from "./valid-signal.js";

/** What travels beside tokens, row by row: temperatures and the ids whose logits the client wants. */
export interface RowWishes {
  /** f32 [n,J]. */
  readonly taus?: Float32Array;
  /** u32 [n+1], first 0, never falling; u32 [offsets[n]]. */
  readonly atOffsets?: Uint32Array;
  readonly atIds?: Uint32Array;
}

export interface RawRowWishes {
  readonly taus: Uint8Array;
  readonly atOffsets: Uint8Array;
  readonly atIds: Uint8Array;
}

/** Checks the per-row parts of an item with `rows` rows. `path` is how the client wrote the item (`items`).
 * @throws TandemError INVALID_ARGUMENT or DATA_LOSS naming field and limit. */
export function admitRows(
  raw: RawRowWishes,
  {
    rows,
    path,
    signal,
    limits,
  }: { rows: number; path: string; signal: ValidSignal; limits: ServerLimits },
): RowWishes {
  const taus = admitTaus(raw.taus, rows, `${path}.taus`, signal, limits);
  if (raw.atOffsets.byteLength === 0 && raw.atIds.byteLength === 0)
    return taus === undefined ? {} : { taus };
  const atIds = parseTokens(raw.atIds, `${path}.at_ids`, limits.vocabSize);
  const atOffsets = admitOffsets(raw.atOffsets, {
    rows,
    field: `${path}.at_offsets`,
    total: atIds.length,
    limits,
  });
  return { ...(taus && { taus }), atOffsets, atIds };
}

function admitTaus(
  bytes: Uint8Array,
  rows: number,
  field: string,
  signal: ValidSignal,
  limits: ServerLimits,
): Float32Array | undefined {
  if (bytes.byteLength === 0) return undefined;
  const taus = parseFloat32s(bytes, field);
  if (signal.spec.taus.length > 0) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `${field} and signal.taus are both given; temperatures are per row or for all rows, not both`,
      { field },
    );
  }
  if (signal.spec.logProbs) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `${field} are given beside signal.log_probs, and normalisers at temperatures belong to raw logits; leave out one of them`,
      { field },
    );
  }
  if (taus.length % rows !== 0) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `${field} has ${taus.length} values for ${rows} rows; every row has the same number of temperatures`,
      { field },
    );
  }
  assertTauCount(taus.length / rows, field, limits);
  assertTaus(taus, field);
  return taus;
}

export function assertTauCount(count: number, field: string, limits: ServerLimits): void {
  if (count <= limits.maxTaus) return;
  throw new TandemError(
    "INVALID_ARGUMENT",
    `${field} asks for ${count} temperatures per row; the limit is ${limits.maxTaus}`,
    {
      field,
      limit: limits.maxTaus,
    },
  );
}

export function assertTaus(taus: ArrayLike<number>, field: string): void {
  for (let i = 0; i < taus.length; i++) assertTau(taus[i] as number, field, `${field}[${i}]`);
}

/** @throws TandemError INVALID_ARGUMENT, naming the value as `label`. */
export function assertTau(tau: number, field: string, label = field): void {
  if (tau > 0 && tau < Infinity) return;
  throw new TandemError(
    "INVALID_ARGUMENT",
    `${label} is ${tau}; temperatures are finite and above 0`,
    { field },
  );
}

function admitOffsets(
  bytes: Uint8Array,
  {
    rows,
    field,
    total,
    limits,
  }: { rows: number; field: string; total: number; limits: ServerLimits },
): Uint32Array {
  const offsets = parseUint32s(bytes, field);
  if (offsets.length !== rows + 1 || offsets[0] !== 0 || offsets[rows] !== total) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `${field} has ${offsets.length} values from ${offsets[0] ?? "none"} to ${offsets.at(-1) ?? "none"}; ${rows} rows with ${total} ids need ${rows + 1} values from 0 to ${total}`,
      { field },
    );
  }
  for (let row = 0; row < rows; row++) {
    const count = (offsets[row + 1] as number) - (offsets[row] as number);
    if (count < 0) {
      throw new TandemError(
        "INVALID_ARGUMENT",
        `${field} falls at row ${row}; offsets never fall`,
        { field },
      );
    }
    if (count > limits.maxAtIds) {
      throw new TandemError(
        "INVALID_ARGUMENT",
        `${field} gives row ${row} ${count} ids; the limit is ${limits.maxAtIds}`,
        {
          field,
          limit: limits.maxAtIds,
        },
      );
    }
  }
  return offsets;
}
