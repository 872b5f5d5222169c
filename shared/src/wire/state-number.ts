import { unreachable } from "../errors/invariant.js";

/** How the hidden states of a model are numbered in `hidden_layers`. */

/** `stream`: the residual stream, 0 behind the embedding, i behind block i. The others: what block i (from 1) projects for its attention, all heads side by
 * side, before norms of heads and rotation. */
export type StateKind = "stream" | "queries" | "keys" | "values";

/** A kind's numbers begin at its place times this. */
const KIND_STRIDE = 0x10000;
const KINDS: readonly StateKind[] = ["stream", "queries", "keys", "values"];

export interface StatePlace {
  readonly kind: StateKind;
  readonly layer: number;
}

export function stateNumber({ kind, layer }: StatePlace): number {
  return KINDS.indexOf(kind) * KIND_STRIDE + layer;
}

/** Undefined for a number that names no state of a model with so many blocks. */
export function parseStateNumber(number: number, layers: number): StatePlace | undefined {
  if (!Number.isInteger(number) || number < 0 || number >= KINDS.length * KIND_STRIDE) {
    return undefined;
  }
  const place = statePlace(number);
  const first = place.kind === "stream" ? 0 : 1;
  return place.layer < first || place.layer > layers ? undefined : place;
}

/** Of a number that is known to name a state. */
export function statePlace(number: number): StatePlace {
  return { kind: KINDS[Math.floor(number / KIND_STRIDE)]!, layer: number % KIND_STRIDE };
}

/** Whether a number names what a block projects. */
export function isProjection(number: number): boolean {
  return number >= KIND_STRIDE;
}

export interface StateWidths {
  /** D. */
  readonly width: number;
  /** Of queries, and of keys and values: all heads. Default: D. */
  readonly queryWidth?: number | undefined;
  readonly keyWidth?: number | undefined;
}

/** Numbers in a row of a state. */
export function stateWidth(number: number, { width, ...own }: StateWidths): number {
  const { kind } = statePlace(number);
  switch (kind) {
    case "stream":
      return width;
    case "queries":
      return own.queryWidth ?? width;
    case "keys":
    case "values":
      return own.keyWidth ?? width;
    default:
      return unreachable(kind);
  }
}
