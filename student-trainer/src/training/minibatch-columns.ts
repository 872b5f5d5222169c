import type { LossSet } from "../losses/loss-set.js";
import { AUTHOR, type Rollout } from "../rollout/rollout.js";

/** The losses' columns over a whole minibatch: for each rollout, each column with a number per response position.
 * Positions that weigh nothing are not seen by the losses and get 0. */
export function minibatchColumns(
  losses: LossSet,
  rollouts: readonly Rollout[],
  coefficients: readonly ArrayLike<number>[],
): readonly (readonly Float32Array[])[] {
  if (losses.columnCount === 0) return rollouts.map(() => []);
  const own = rollouts.map(({ response }) =>
    Array.from({ length: losses.columnCount }, () => new Float32Array(response.length)),
  );
  const positions = rollouts.flatMap(({ signal, atIds, authors, response }, at) =>
    Array.from(response, (_, row) => ({
      rollout: at,
      coefficient: coefficients[at]![row]!,
      byStudent: authors[row] === AUTHOR.student,
      signal,
      row,
      atIds,
    })).filter(({ coefficient }) => coefficient > 0),
  );
  losses.columns(positions).forEach((values, column) => {
    positions.forEach(({ rollout, row }, at) => (own[rollout]![column]![row] = values[at]!));
  });
  return own;
}
