import type { TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";
import {
  tauCount,
  type SignalRequirement,
} from "@tandem/student-trainer/losses/signal-requirement.js";

export interface KnownLogits {
  readonly vocabulary: number;
  /** [n,V] each. */
  readonly teacher: ArrayLike<number>;
  readonly student: ArrayLike<number>;
  readonly targets: ArrayLike<number>;
  /** Hidden states by layer, [n,D]; needed where hidden states are required. */
  readonly hidden?: (layer: number) => Float32Array;
  /** Per row the ids drawn; needed where draws are required. */
  readonly draws?: readonly (readonly { readonly id: number; readonly count: number }[])[];
}

/** The signal that a teacher with these logits gives, computed in float64 from the definitions; `atIds` are the student's best ids. */
export function signalOfLogits(
  known: KnownLogits,
  requirement: SignalRequirement,
): { readonly signal: TeacherSignal; readonly atIds?: Uint32Array } {
  const { vocabulary, targets } = known;
  const { spec, studentTopK } = requirement;
  const rows = targets.length;
  const row = (of: ArrayLike<number>, at: number): number[] =>
    Array.from({ length: vocabulary }, (_, id) => of[at * vocabulary + id]!);
  const laws = Array.from({ length: rows }, (_, at) => row(known.teacher, at));
  const k = Math.min(spec.topK, vocabulary);
  const a = Math.min(studentTopK, vocabulary);
  const top = laws.map((u) => untilMass(u, bestIds(u, k), spec.topPMass));
  const atIds = laws.flatMap((_, at) => bestIds(row(known.student, at), a));
  const f32 = (values: readonly number[]): Float32Array => Float32Array.from(values);
  const each = (f: (u: readonly number[], at: number) => number): Float32Array => f32(laws.map(f));
  const taus = laws.map((u, at) => [
    ...spec.taus,
    ...(requirement.positionTaus ?? []).map((temperature) =>
      Math.fround(
        temperature({ teacher: momentsOf(u), student: momentsOf(row(known.student, at)) }),
      ),
    ),
  ]);
  const everyTau = (f: (u: readonly number[], tau: number, at: number) => number): Float32Array =>
    f32(laws.flatMap((u, at) => taus[at]!.map((tau) => f(u, tau, at))));
  const tail = (u: readonly number[], tau: number, at: number): number =>
    logSumExp(u.filter((_, id) => !top[at]!.includes(id)).map((x) => x / tau)) -
    logSumExp(u.map((x) => x / tau));
  const { logProbs } = spec;
  // what the short form takes from each logit of a law
  const normaliser = (u: readonly number[]): number => (logProbs ? logSumExp(u) : 0);
  const signal: TeacherSignal = {
    from: 1,
    count: rows,
    topK: k,
    ...(logProbs && { logProbs }),
    tauCount: tauCount(requirement),
    ...(k > 0 &&
      spec.topPMass < 1 && {
        topOffsets: Uint32Array.from(
          [0, ...top].map((_, at) => top.slice(0, at).reduce((sum, ids) => sum + ids.length, 0)),
        ),
      }),
    ...(k > 0 && {
      ...(!spec.omitTopIds && { topIds: Uint32Array.from(top.flat()) }),
      topLogits: f32(laws.flatMap((u, at) => top[at]!.map((id) => u[id]! - normaliser(u)))),
      ...(!logProbs && { logTail: each((u, at) => tail(u, 1, at)) }),
    }),
    ...((k > 0 || spec.lse) && !logProbs && { lse: each(logSumExp) }),
    ...(tauCount(requirement) > 0 && {
      taus: everyTau((_, tau) => tau),
      lseAt: everyTau((u, tau) => logSumExp(u.map((x) => x / tau))),
      ...(k > 0 && { logTailAt: everyTau(tail) }),
    }),
    ...(spec.token && {
      tokenLogit: each((u, at) => u[targets[at]!]! - normaliser(u)),
      rank: Uint32Array.from(laws, (u, at) => u.filter((x) => x > u[targets[at]!]!).length),
    }),
    ...(spec.moments && {
      meanLogit: each((u) => momentsOf(u).mean),
      maxLogit: each((u) => momentsOf(u).max),
      entropy: each(entropy),
    }),
    ...(a > 0 && {
      atOffsets: Uint32Array.from({ length: rows + 1 }, (_, at) => at * a),
      atLogits: f32(
        atIds.map((id, at) => {
          const law = laws[Math.floor(at / a)]!;
          return law[id]! - normaliser(law);
        }),
      ),
    }),
    ...(known.draws && spec.draws > 0 && drawParts(known.draws)),
    ...(known.draws &&
      spec.draws > 0 &&
      spec.drawTemperature !== 1 && {
        drawWeights: f32(
          known.draws.flatMap((list, at) =>
            list.map(({ id }) => worth(laws[at]!, id, spec.drawTemperature)),
          ),
        ),
      }),
    ...(spec.dense !== "none" && { dense: f32(laws.flat()) }),
    ...(spec.hiddenLayers.length > 0 && {
      hidden: new Map(spec.hiddenLayers.map((layer) => [layer, known.hidden!(layer)])),
    }),
  };
  return { signal, ...(a > 0 && { atIds: Uint32Array.from(atIds) }) };
}

/** The shortest beginning of a list with at least `mass` of the law, or all of it. */
export function untilMass(
  logits: readonly number[],
  best: readonly number[],
  mass: number,
): readonly number[] {
  if (mass >= 1) return best;
  const lse = logSumExp(logits);
  let sum = 0;
  const end = best.findIndex((id) => (sum += Math.exp(logits[id]! - lse)) >= mass);
  return end < 0 ? best : best.slice(0, end + 1);
}

function momentsOf(logits: readonly number[]): { readonly mean: number; readonly max: number } {
  const mean = logits.reduce((sum, x) => sum + x, 0) / logits.length;
  return { mean, max: Math.max(...logits) };
}

/** By falling logit, ties by rising id. */
export function bestIds(logits: readonly number[], k: number): number[] {
  // −∞ − −∞ is NaN, so equal logits are compared apart.
  const compare = (a: number, b: number) =>
    logits[a] === logits[b] ? a - b : logits[b]! - logits[a]!;
  return Array.from(logits.keys()).sort(compare).slice(0, k);
}

export function logSumExp(values: readonly number[]): number {
  const largest = Math.max(...values);
  if (largest === -Infinity) return -Infinity;
  return largest + Math.log(values.reduce((sum, x) => sum + Math.exp(x - largest), 0));
}

function entropy(u: readonly number[]): number {
  const lse = logSumExp(u);
  return -u.reduce((sum, x) => (x === -Infinity ? sum : sum + Math.exp(x - lse) * (x - lse)), 0);
}

/** softmax(u) over softmax(u/τ) at an id. */
function worth(u: readonly number[], id: number, tau: number): number {
  return Math.exp(u[id]! - logSumExp(u) - u[id]! / tau + logSumExp(u.map((x) => x / tau)));
}

function drawParts(draws: NonNullable<KnownLogits["draws"]>): Partial<TeacherSignal> {
  const ends = draws.map((_, at) =>
    draws.slice(0, at + 1).reduce((sum, list) => sum + list.length, 0),
  );
  return {
    drawOffsets: Uint32Array.from([0, ...ends]),
    drawIds: Uint32Array.from(draws.flat(), ({ id }) => id),
    drawCounts: Uint32Array.from(draws.flat(), ({ count }) => count),
  };
}
