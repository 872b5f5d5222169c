import { listStart } from "../wire/signal-parts.js";
import type { SignalSpec, TeacherSignal } from "../wire/teacher-signal.js";
import { asksForSignal } from "./asks-for-signal.js";
import type { DrawnTokens } from "./count-draws.js";
import type { LawAnswers } from "./law-answers.js";
import type { HeadRequest } from "./step.js";

/** The parts of the answers that the request asked for, for its first `count` laws; undefined when it asked for none.
 * layers: f32 [n,·] per hidden state asked for. */
export function toSignal(
  head: HeadRequest,
  answers: LawAnswers,
  {
    from,
    count,
    layers,
  }: { from: number; count: number; layers: ReadonlyMap<number, Float32Array> },
): TeacherSignal | undefined {
  const { spec } = head;
  if (count === 0 || !asksForSignal(head)) return undefined;
  const cut = <A extends Float32Array | Uint32Array>(values: A, width = 1): A =>
    exactly(values, count * width);
  const { topK, tauCount } = answers;
  const signal: TeacherSignal = {
    from,
    count,
    topK,
    tauCount,
    ...(topK > 0 && topParts(spec, answers, count)),
    ...(topK > 0 && !spec.logProbs && { logTail: cut(answers.logTail) }),
    ...((topK > 0 || spec.lse) && !spec.logProbs && { lse: cut(answers.lse) }),
    ...(tauCount > 0 && { taus: cut(answers.taus, tauCount), lseAt: cut(answers.lseAt, tauCount) }),
    ...(tauCount > 0 && topK > 0 && { logTailAt: cut(answers.logTailAt, tauCount) }),
    ...(spec.token && { tokenLogit: cut(answers.tokenLogit), rank: cut(answers.rank) }),
    ...(spec.moments && {
      meanLogit: cut(answers.meanLogit),
      maxLogit: cut(answers.maxLogit),
      entropy: cut(answers.entropy),
    }),
    ...atParts(head, answers, count),
    ...(spec.draws > 0 && drawParts(answers.draws, count)),
    ...(answers.dense !== undefined && {
      dense: cut(answers.dense, answers.dense.length / answers.count),
    }),
    ...(spec.hiddenLayers.length > 0 && {
      hidden: new Map(
        [...layers].map(([layer, values]) => [layer, cut(values, values.length / answers.count)]),
      ),
    }),
  };
  return spec.logProbs ? toLogProbs(signal, answers.lse) : signal;
}

/** u − lse in place of u. */
function toLogProbs(signal: TeacherSignal, lse: Float32Array): TeacherSignal {
  const { count, topLogits, tokenLogit, atLogits, atOffsets } = signal;
  const normalised = (logits: Float32Array, rowEnd: (row: number) => number): Float32Array => {
    const logProbs = new Float32Array(logits.length);
    for (let row = 0, i = 0; row < count; row++) {
      for (; i < rowEnd(row); i++) logProbs[i] = logits[i]! - lse[row]!;
    }
    return logProbs;
  };
  return {
    ...signal,
    logProbs: true,
    ...(topLogits && { topLogits: normalised(topLogits, (row) => listStart(signal, row + 1)) }),
    ...(tokenLogit && { tokenLogit: normalised(tokenLogit, (row) => row + 1) }),
    ...(atLogits && { atLogits: normalised(atLogits, (row) => atOffsets![row + 1]!) }),
  };
}

function topParts(spec: SignalSpec, answers: LawAnswers, count: number) {
  const size = count * answers.topK;
  const { topIds, ...logits } =
    spec.topPMass < 1
      ? keptLists(answers, count)
      : { topIds: exactly(answers.topIds, size), topLogits: exactly(answers.topLogits, size) };
  return spec.omitTopIds ? logits : { topIds, ...logits };
}

/** The first `size` numbers. Of exact size: a signal may be posted to another process, which sends the whole buffer behind a view. */
function exactly<A extends Float32Array | Uint32Array>(values: A, size: number): A {
  return values.length === size ? values : (values.slice(0, size) as A);
}

/** What each law keeps of its list, one behind the other. */
function keptLists({ topK, listLengths, topIds, topLogits }: LawAnswers, count: number) {
  const topOffsets = new Uint32Array(count + 1);
  for (let law = 0; law < count; law++) {
    topOffsets[law + 1] = topOffsets[law]! + listLengths[law]!;
  }
  const ids = new Uint32Array(topOffsets[count]!);
  const logits = new Float32Array(topOffsets[count]!);
  for (let law = 0; law < count; law++) {
    const [begin, end] = [law * topK, law * topK + listLengths[law]!];
    ids.set(topIds.subarray(begin, end), topOffsets[law]);
    logits.set(topLogits.subarray(begin, end), topOffsets[law]);
  }
  return { topOffsets, topIds: ids, topLogits: logits };
}

function atParts({ atOffsets }: HeadRequest, { atLogits }: LawAnswers, count: number) {
  if (atOffsets === undefined) return {};
  return {
    atOffsets: atOffsets.slice(0, count + 1),
    atLogits: atLogits.slice(0, atOffsets[count]),
  };
}

function drawParts(draws: readonly DrawnTokens[], count: number) {
  const kept = draws.slice(0, count);
  const drawOffsets = new Uint32Array(count + 1);
  kept.forEach(({ ids }, i) => (drawOffsets[i + 1] = drawOffsets[i]! + ids.length));
  const drawIds = new Uint32Array(drawOffsets[count]!);
  const drawCounts = new Uint32Array(drawOffsets[count]!);
  kept.forEach(({ ids, counts }, i) => {
    drawIds.set(ids, drawOffsets[i]);
    drawCounts.set(counts, drawOffsets[i]);
  });
  if (kept[0]?.weights === undefined) return { drawOffsets, drawIds, drawCounts };
  const drawWeights = new Float32Array(drawIds.length);
  kept.forEach(({ weights }, i) => drawWeights.set(weights!, drawOffsets[i]));
  return { drawOffsets, drawIds, drawCounts, drawWeights };
}
