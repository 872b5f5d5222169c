import { invariant } from "@tandem/shared/errors/invariant.js";
import type { DecoderOutput } from "@tandem/shared/models/decoder-parts.js";
import { parseStateNumber } from "@tandem/shared/wire/state-number.js";

/** A hidden state of a decoder by its number. */
export function stateOf<T>({ layers, projections }: DecoderOutput<T>, number: number): T {
  const place = parseStateNumber(number, projections.length);
  invariant(place !== undefined, `hidden state ${number} is one of the model's`);
  const { kind, layer } = place;
  return kind === "stream" ? layers[layer]! : projections[layer - 1]![kind];
}
