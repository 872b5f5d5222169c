import { slotLengthFor } from "./kv-shape.js";

/** A row about to be computed. */
export interface SlotNeed {
  /** Length of the slot it sits in; 0 when it has none. */
  readonly current: number;
  /** Positions it will hold after the step. */
  readonly positions: number;
  /** Positions it may ever hold: its slot never exceeds what these need. */
  readonly maxLength: number;
  /** New tokens in this step. */
  readonly width: number;
}

export interface SlotCosts {
  /** Bytes that a run reads whatever it computes: the weights. */
  readonly runBytes: number;
  /** Bytes of keys and values per position. */
  readonly positionBytes: number;
}

/** Rows with more tokens than this are worth a run of their own. */
const NARROW = 16;

/** The slot is copied with the new positions in it, and read: three passes. */
const PASSES = 3;

/** Slot length for each row of a step. Attention costs the slot's length, not the used one, so slots are short and grow; but rows
 * in slots of different length run apart, and each run reads all weights. So a row with few new tokens joins the next longer
 * slots where that moves fewer bytes than a run. A slot never shrinks. */
export function chooseSlots(
  needs: readonly SlotNeed[],
  { runBytes, positionBytes }: SlotCosts,
): number[] {
  const lengths = needs.map(({ current, positions }) =>
    Math.max(current, slotLengthFor(positions)),
  );
  const narrow = needs.flatMap(({ width }, row) => (width <= NARROW ? [row] : []));
  const levels = [...new Set(narrow.map((row) => lengths[row]!))].sort((a, b) => b - a);
  let goal = levels[0];
  for (const level of levels.slice(1)) {
    const target = goal!;
    const able = narrow.filter(
      (row) => lengths[row] === level && slotLengthFor(needs[row]!.maxLength) >= target,
    );
    const all = narrow.filter((row) => lengths[row] === level).length;
    const liftBytes = able.length * (target - level) * positionBytes * PASSES;
    // Who cannot be lifted keeps the run alive, and lifting the others would save nothing.
    if (able.length === all && liftBytes <= runBytes) for (const row of able) lengths[row] = target;
    else goal = level;
  }
  return lengths;
}
