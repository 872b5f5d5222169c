import type { LossSet, MinibatchMoment } from "../losses/loss-set.js";
import { AUTHOR, type Rollout } from "../rollout/rollout.js";

/** A rollout of a minibatch as the losses see it beforehand. */
export interface KnownRollout {
  readonly rollout: Rollout;
  /** Of its response positions. */
  readonly coefficients: ArrayLike<number>;
  /** The losses' probes (`LossSet.probes`), each with a number per response position; left out: none. */
  readonly probes?: readonly ArrayLike<number>[];
}

/** The losses' columns over a whole minibatch: for each rollout, each column with a number per response position.
 * Positions that weigh nothing are not seen by the losses and get 0. */
export function minibatchColumns(
  losses: LossSet,
  minibatch: readonly KnownRollout[],
  moment: MinibatchMoment,
): readonly (readonly Float32Array[])[] {
  if (losses.columnCount === 0) return minibatch.map(() => []);
  const own = minibatch.map(({ rollout }) =>
    Array.from({ length: losses.columnCount }, () => new Float32Array(rollout.response.length)),
  );
  const positions = minibatch.flatMap(({ rollout, coefficients }, at) =>
    Array.from(rollout.response, (_, row) => ({
      at,
      coefficient: coefficients[row]!,
      sequence: at,
      byStudent: rollout.authors[row] === AUTHOR.student,
      given: rollout.authors[row] === AUTHOR.data,
      oldLogProb: rollout.oldLogProbs?.[row],
      signal: rollout.signal,
      named: rollout.signals,
      row,
      token: rollout.response[row]!,
      dataRow: rollout.row,
      atIds: rollout.atIds,
    })).filter(({ coefficient }) => coefficient > 0),
  );
  const probes = Array.from({ length: losses.probeCount }, (_, probe) =>
    positions.map(({ at, row }) => minibatch[at]!.probes?.[probe]?.[row] ?? 0),
  );
  losses.columns(positions, probes, moment).forEach((values, column) => {
    positions.forEach(({ at, row }, index) => (own[at]![column]![row] = values[index]!));
  });
  return own;
}
