import type { MinibatchPosition } from "./loss-definition.js";
import { teacherLogProbability } from "./token-log-probability.js";

/** Below it a teacher's log-probability counts no further. */
const LEAST_LOG_PROBABILITY = -100;

/** For each position what multiplies log q of its token, and what its loss is, so that over the minibatch they are the gradient and the value of
 * the mean over pairs of −log σ(β·[r(a) − r(b)]); r the mean of log q/p over a response, a another's response to a prompt, b the student's.
 * Responses without a counterpart in the minibatch have 0. q is that before the step (`probe`). */
export function preferencePairs(
  positions: readonly MinibatchPosition[],
  beta: number,
): readonly [slope: Float32Array, value: Float32Array] {
  const slope = new Float32Array(positions.length);
  const value = new Float32Array(positions.length);
  const pairs = pairsOf(positions);
  for (const { preferred, rejected } of pairs) {
    const margin = beta * (meanRatio(preferred) - meanRatio(rejected));
    const loss = Math.max(-margin, 0) + Math.log1p(Math.exp(-Math.abs(margin)));
    const pull = beta / (1 + Math.exp(margin)); // β·σ(−margin)
    const count = preferred.length + rejected.length;
    const spread = (own: Response<MinibatchPosition>, sign: number): void => {
      for (const [at, { coefficient }] of own) {
        const share = coefficient * pairs.length;
        slope[at] = (sign * pull) / own.length / share;
        value[at] = loss / count / share;
      }
    };
    spread(preferred, -1);
    spread(rejected, 1);
  }
  return [slope, value];
}

/** What makes two responses a pair. */
type Paired = Pick<MinibatchPosition, "dataRow" | "sequence" | "byStudent">;

/** Positions of one sequence with their indices. */
type Response<P> = readonly (readonly [at: number, position: P])[];

interface Pair<P> {
  readonly preferred: Response<P>;
  readonly rejected: Response<P>;
}

/** The first response of others to a prompt with the first of the student, the second with the second. A response of both is that of most
 * of its tokens. */
export function pairsOf<P extends Paired>(positions: readonly P[]): readonly Pair<P>[] {
  const prompts = groupBy([...positions.entries()], ({ dataRow }) => dataRow);
  return [...prompts.values()].flatMap((own) => {
    const responses = [...groupBy(own, ({ sequence }) => sequence).values()];
    const isOwn = (response: Response<P>): boolean =>
      response.filter(([, { byStudent }]) => byStudent).length * 2 > response.length;
    const preferred = responses.filter((response) => !isOwn(response));
    const rejected = responses.filter(isOwn);
    return preferred
      .slice(0, rejected.length)
      .map((response, at) => ({ preferred: response, rejected: rejected[at]! }));
  });
}

function meanRatio(response: Response<MinibatchPosition>): number {
  const ratios = response.map(
    ([, position]) =>
      position.probe - Math.max(LEAST_LOG_PROBABILITY, teacherLogProbability(position)),
  );
  return ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length;
}

function groupBy<P>(
  all: Response<P>,
  keyOf: (position: P) => number,
): ReadonlyMap<number, Response<P>> {
  const groups = new Map<number, (readonly [number, P])[]>();
  for (const entry of all) {
    const key = keyOf(entry[1]);
    const known = groups.get(key);
    if (known === undefined) groups.set(key, [entry]);
    else known.push(entry);
  }
  return groups;
}
