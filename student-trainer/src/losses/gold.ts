import { invariant } from "@tandem/shared/errors/invariant.js";
import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import { z } from "zod";
import { spansOf } from "./aligned-signal.js";
import { total } from "./atoms.js";
import { keptShare } from "./kept-share.js";
import type { LossDefinition, LossInputs } from "./loss-definition.js";

const options = z.strictObject({
  topK: z
    .int()
    .min(1)
    .default(64)
    .describe(
      "size of the teacher's top list; its whole vocabulary is exact, less an approximation",
    ),
  hybrid: z
    .boolean()
    .default(true)
    .describe(
      "compare tokens that both vocabularies have id by id, and only the others sorted; false: all sorted (ULD)",
    ),
  beta: z
    .number()
    .min(0)
    .max(1)
    .default(0.5)
    .describe("of the JSD on tokens that both have: 0 forward KL, 1 reverse KL"),
  matchedShare: z
    .union([z.literal("vocabulary"), z.number().min(0).max(1)])
    .default("vocabulary")
    .describe(
      "weight of the matched part, the other has the rest; vocabulary: the part of the teacher's ids that is matched",
    ),
});

type GoldOptions = z.output<typeof options>;

/** Smaller probabilities count as this, as in TRL. */
const LEAST = 1e-8;

/** Between laws over different vocabularies, once for each run of tokens that both tokenizers end at the same byte. A run's law is that of its
 * last (or first) token times the probability of its other tokens, on both sides. With P and Q such laws:
 * w·JSD_β(P, Q on tokens with equal bytes) + (1−w)·Σ_i |P_(i) − Q_(i)| over the other tokens, sorted.
 * Source: GOLD (TRL's `gold_trainer.py`, extended and hybrid ULD); without `hybrid` ULD (arXiv 2402.12030) on such runs. */
export const gold: LossDefinition<GoldOptions> = {
  name: "gold",
  summary: "distance of laws over two vocabularies, aligned by bytes",
  source: "GOLD (TRL); ULD, arXiv 2402.12030",
  options,
  requires: ({ topK }) => ({ signal: { topK }, acrossTokenizers: true, keepsSequences: true }),
  columns: {
    names: ["share", "run", "bears", "others"],
    compute: (positions) => {
      const column = (own: (spans: ReturnType<typeof spansOf>, row: number) => number) =>
        Float32Array.from(positions, ({ signal, row }) => own(spansOf(signal), row));
      return [
        keptShare(positions, ({ signal, row }) => spansOf(signal)?.bears[row] !== 0),
        column((spans, row) => spans?.run[row] ?? row),
        column((spans, row) => spans?.bears[row] ?? 1),
        column((spans, row) => spans?.others[row] ?? 0),
      ];
    },
  },
  perToken: (ops, inputs, chosen) => {
    const { top } = inputs.teacher;
    const { share, others } = inputs.columns;
    invariant(
      top !== undefined && share !== undefined && others !== undefined,
      "the loss is given the teacher's top list and its columns",
    );
    const onTeacher = ops.unsqueeze(ops.exp(others), 1); // [n,1]
    const onStudent = ops.unsqueeze(ops.exp(otherTokens(ops, inputs)), 1);
    const p = ops.mul(ops.exp(ops.sub(top.logits, ops.unsqueeze(top.lse, 1))), onTeacher); // [n,k]
    const q = ops.mul(ops.softmax(inputs.logits, 1), onStudent); // [n,V]
    const tail = ops.mul(ops.exp(top.logTail), ops.squeeze(onTeacher, 1)); // [n]
    const value = chosen.hybrid
      ? hybridDistance(ops, inputs, { p, q, tail }, chosen)
      : sortedDistance(ops, { p, q, tail }, (gap) => ops.abs(gap));
    return ops.mul(share, value);
  },
};

interface Laws<T> {
  /** f32 [n,k], [n,V], [n]: the list's probabilities, the student's, and the teacher's outside the list. */
  readonly p: T;
  readonly q: T;
  readonly tail: T;
}

/** log of the student's probability of the other tokens of each position's run, f32 [n]; meant for the positions that bear a law. */
function otherTokens<T extends Tensor>(
  ops: TensorOps<T>,
  { logits, targets, places, columns }: LossInputs<T>,
): T {
  const { run, bears } = columns;
  invariant(
    places !== undefined && run !== undefined && bears !== undefined,
    "the loss is given the places of its positions",
  );
  const equal = (x: T): T => ops.equal(ops.unsqueeze(x, 1), ops.unsqueeze(x, 0)); // [n,n]
  const together = ops.cast(ops.logicalAnd(equal(places.sequence), equal(run)), "f32");
  const other = ops.mul(together, ops.unsqueeze(ops.sub(ops.scalar(1), bears), 0)); // column j: bears no law
  const chosen = ops.takeAlongAxis(ops.logSoftmax(logits, 1), ops.unsqueeze(targets, 1), 1); // [n,1]
  const bounded = ops.maximum(chosen, ops.scalar(Math.log(LEAST)));
  return ops.squeeze(ops.matmul(other, bounded), 1);
}

function hybridDistance<T extends Tensor>(
  ops: TensorOps<T>,
  { teacher, sizes, logits }: LossInputs<T>,
  { p, q, tail }: Laws<T>,
  { beta, matchedShare }: GoldOptions,
): T {
  const { ids, matched } = teacher.top!;
  invariant(matched !== undefined, "the loss is told which ids both vocabularies have");
  const { translation } = sizes.teacher;
  const counted = translation === undefined ? 1 : translation.matched / translation.vocabulary;
  const share = matchedShare === "vocabulary" ? counted : matchedShare;
  const jsd = unnormalisedJsd(ops, { p, q: ops.takeAlongAxis(q, ids, 1), matched }, beta);
  const own = new Float32Array(logits.shape[1] as number);
  for (const id of translation?.studentOnly ?? []) own[id] = 1;
  const left = {
    p: ops.topK(ops.mul(p, ops.sub(ops.scalar(1), matched)), p.shape[1] as number, 1).values,
    q: ops.mul(q, ops.constant(own, [1, own.length])),
    tail,
  };
  // How much of the teacher's tail is unmatched is not known: only what must differ counts.
  const sorted = sortedDistance(ops, left, (gap) => ops.relu(gap));
  return ops.add(ops.mul(jsd, ops.scalar(share)), ops.mul(sorted, ops.scalar(1 - share)));
}

/** Σ over matched ids of β·P·log(P/M) + (1−β)·Q·log(Q/M), M = β·P + (1−β)·Q; at the ends P·log(P/Q) and Q·log(Q/P). */
function unnormalisedJsd<T extends Tensor>(
  ops: TensorOps<T>,
  { p, q, matched }: { readonly p: T; readonly q: T; readonly matched: T },
  beta: number,
): T {
  const [P, Q] = [ops.maximum(p, ops.scalar(LEAST)), ops.maximum(q, ops.scalar(LEAST))];
  const part = (a: T, b: T): T => ops.mul(a, ops.sub(ops.log(a), ops.log(b)));
  const sum = (terms: T): T => total(ops, ops.mul(terms, matched));
  if (beta === 0) return sum(part(P, Q));
  if (beta === 1) return sum(part(Q, P));
  const [b, rest] = [ops.scalar(beta), ops.scalar(1 - beta)];
  const M = ops.add(ops.mul(b, P), ops.mul(rest, Q));
  return sum(ops.add(ops.mul(b, part(P, M)), ops.mul(rest, part(Q, M))));
}

/** Σ_i |P_(i) − Q_(i)|, p sorted already; what is left of the student's compared with the teacher's tail by `compare`. */
function sortedDistance<T extends Tensor>(
  ops: TensorOps<T>,
  { p, q, tail }: Laws<T>,
  compare: (gap: T) => T,
): T {
  const [listed, size] = [p.shape[1] as number, q.shape[1] as number];
  const largest = ops.topK(q, Math.min(listed, size), 1).values;
  const padded = ops.pad(largest, 1, 0, Math.max(0, listed - size)); // [n,k]
  const left = ops.sub(total(ops, q), total(ops, largest));
  return ops.add(total(ops, ops.abs(ops.sub(padded, p))), compare(ops.sub(left, tail)));
}
