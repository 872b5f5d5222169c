import type { LossSet } from "../losses/loss-set.js";
import type { MinibatchMoment, SeenPositions } from "../losses/loss-set-inputs.js";
import { AUTHOR, type Rollout } from "../rollout/rollout.js";

/** A rollout of a minibatch as the losses see it beforehand. */
export interface KnownRollout {
  readonly rollout: Rollout;
  /** Of its response positions. */
  readonly coefficients: ArrayLike<number>;
  /** The losses' probes (`LossSet.probes`), each with a number per response position; left out: none. */
  readonly probes?: readonly ArrayLike<number>[];
}

/** The positions that weigh something: the losses see no others. `sequence` is their rollout's place in the minibatch. */
export function seenPositions(losses: LossSet, minibatch: readonly KnownRollout[]): SeenPositions {
  if (!losses.seesPositions) return { positions: [], probes: [] };
  const positions = minibatch.flatMap(({ rollout, coefficients }, sequence) =>
    Array.from(rollout.response, (token, row) => ({
      coefficient: coefficients[row]!,
      sequence,
      byStudent: rollout.authors[row] === AUTHOR.student,
      given: rollout.authors[row] === AUTHOR.data,
      oldLogProb: rollout.oldLogProbs?.[row],
      signal: rollout.signal,
      named: rollout.signals,
      row,
      token,
      dataRow: rollout.row,
      atIds: rollout.atIds,
    })).filter(({ coefficient }) => coefficient > 0),
  );
  const probes = Array.from({ length: losses.probeCount }, (_, probe) =>
    positions.map(({ sequence, row }) => minibatch[sequence]!.probes?.[probe]?.[row] ?? 0),
  );
  return { positions, probes };
}

/** The losses' columns over a whole minibatch: for each rollout, each column with a number per response position.
 * Positions that weigh nothing get 0. */
export function minibatchColumns(
  losses: LossSet,
  minibatch: readonly KnownRollout[],
  { seen, ...moment }: MinibatchMoment & { readonly seen: SeenPositions },
): readonly (readonly Float32Array[])[] {
  if (losses.columnCount === 0) return minibatch.map(() => []);
  const own = minibatch.map(({ rollout }) =>
    Array.from({ length: losses.columnCount }, () => new Float32Array(rollout.response.length)),
  );
  losses.columns(seen, moment).forEach((values, column) => {
    seen.positions.forEach(({ sequence, row }, index) => {
      own[sequence]![column]![row] = values[index]!;
    });
  });
  return own;
}
