import { UNMATCHED } from "../losses/aligned-signal.js";
import { invalid } from "./assert-numbers.js";

/** No id twice in a row of a ragged array; those without a counterpart aside.
 * @throws TandemError INVALID_ARGUMENT. */
export function assertDistinct(ids: Uint32Array, offsets: Uint32Array, field: string): void {
  for (let row = 0; row + 1 < offsets.length; row++) {
    const seen = new Set<number>();
    for (const id of ids.subarray(offsets[row], offsets[row + 1])) {
      if (seen.has(id) && id !== UNMATCHED) {
        throw invalid(field, `has id ${id} twice at position ${row}; give each id once`);
      }
      seen.add(id);
    }
  }
}
