import { philox4x32 } from "@tandem/shared/numeric/philox.js";

/** Ids that every vocabulary has which is worth a bench. */
const IDS = 10_000;

/** Tokens without meaning; equal seeds give equal ones. */
export function randomTokens(length: number, seed: number): readonly number[] {
  return Array.from({ length }, (_, i) => (philox4x32([seed, i, 0, 0], [1, 2])[0] as number) % IDS);
}
