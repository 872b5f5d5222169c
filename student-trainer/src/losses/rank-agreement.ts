import { unreachable } from "@tandem/shared/errors/invariant.js";
import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import { z } from "zod";
import type { AgreedIds } from "./agreed-ids.js";
import { pearson } from "./correlation.js";
import { softRank } from "./soft-rank.js";
import type { ReadWith } from "./unread-options.js";

export const rankOptions = z.strictObject({
  k: z
    .int()
    .min(2)
    .max(32)
    .default(5)
    .describe(
      "length of the teacher's and of the student's list; the order of their union is compared",
    ),
  dense: z
    .boolean()
    .default(false)
    .describe(
      "lists from all V teacher logits and the student as it is now; otherwise the student's list is from when the position was written",
    ),
  operator: z
    .enum(["soft-rank", "pairwise-sigmoid", "pearson", "plackett-luce", "listwise"])
    .default("soft-rank")
    .describe(
      "soft-rank, pairwise-sigmoid: 1 − Spearman of such ranks; pearson: 1 − ρ of the values; plackett-luce: likelihood of the teacher's order; listwise: forward KL on the union",
    ),
  strength: z
    .number()
    .positive()
    .default(1)
    .describe(
      "of soft-rank: gaps above it give exact ranks and no gradient; of pairwise-sigmoid: its temperature",
    ),
  values: z
    .enum(["logits", "probabilities"])
    .default("logits")
    .describe(
      "what is ranked: logits as in RLKD's release, probabilities (over the union) as in its text",
    ),
});

export const rankReadWith: ReadWith = {
  strength: { option: "operator", values: ["soft-rank", "pairwise-sigmoid"] },
  values: { option: "operator", values: ["soft-rank", "pairwise-sigmoid", "pearson"] },
};

export type RankOptions = z.output<typeof rankOptions>;

/** How far the student's order of the union is from the teacher's, f32 [n]; 0 where they agree fully, except for the two likelihoods. */
export function rankAgreement<T extends Tensor>(
  ops: TensorOps<T>,
  ids: AgreedIds<T>,
  { operator, strength, values }: RankOptions,
): T {
  const valid = ops.cast(ids.valid, "f32"); // [n,m]
  const valued = (x: T): T => (values === "logits" ? x : unionLaw(ops, x, ids.valid));
  const one = ops.scalar(1);
  switch (operator) {
    case "soft-rank": {
      const both = { a: valued(ids.student), b: valued(ids.teacher), valid };
      const [student, teacher] = rowsOfBoth(ops, both, (rows) => softRank(ops, rows, strength));
      return ops.sub(one, pearson(ops, student, teacher, valid));
    }
    case "pairwise-sigmoid": {
      const ranks = (x: T): T => pairwiseRank(ops, { x: valued(x), valid }, strength);
      return ops.sub(one, pearson(ops, ranks(ids.student), ranks(ids.teacher), valid));
    }
    case "pearson":
      return ops.sub(one, pearson(ops, valued(ids.student), valued(ids.teacher), valid));
    case "plackett-luce":
      return plackettLuce(ops, ids, valid);
    case "listwise":
      return listwise(ops, ids, valid);
    default:
      return unreachable(operator);
  }
}

/** The same of two tensors [n,m], as one of [2n,m]: with so few columns the number of operations is what costs. */
function rowsOfBoth<T extends Tensor>(
  ops: TensorOps<T>,
  { a, b, valid }: { readonly a: T; readonly b: T; readonly valid: T },
  of: (rows: { readonly x: T; readonly valid: T }) => T,
): readonly [T, T] {
  const all = of({ x: ops.concat([a, b], 0), valid: ops.concat([valid, valid], 0) });
  const [first, last] = [a.shape[0]!, all.shape[0]!];
  return [ops.slice(all, 0, 0, first), ops.slice(all, 0, first, last)];
}

/** softmax over the valid ids; 0 elsewhere. */
function unionLaw<T extends Tensor>(ops: TensorOps<T>, x: T, valid: T): T {
  return ops.softmax(ops.where(valid, x, ops.scalar(-1e30)), 1);
}

/** R_i = ½ + Σ_j σ((x_i − x_j)/τ) over the valid ids, 1 = smallest as τ → 0; a gradient everywhere. */
function pairwiseRank<T extends Tensor>(
  ops: TensorOps<T>,
  { x, valid }: { readonly x: T; readonly valid: T },
  temperature: number,
): T {
  const gap = ops.sub(ops.unsqueeze(x, 2), ops.unsqueeze(x, 1)); // [n,i,j]
  const wins = ops.sigmoid(ops.mul(gap, ops.scalar(1 / temperature)));
  const counted = ops.mul(wins, ops.unsqueeze(valid, 1));
  return ops.add(ops.reduceSum(counted, { axes: [2] }), ops.scalar(0.5));
}

/** −log of the probability that drawing without replacement from softmax(v) gives the teacher's order. Ties: the teacher's list first. */
function plackettLuce<T extends Tensor>(ops: TensorOps<T>, ids: AgreedIds<T>, valid: T): T {
  const size = valid.shape[1] as number;
  const order = Float32Array.from({ length: size * size }, (_, at) =>
    at % size >= Math.floor(at / size) ? 1 : 0,
  );
  const notBefore = ops.greater(ops.constant(order, [1, size, size]), ops.scalar(0.5));
  const own = ops.unsqueeze(ids.teacher, 2); // [n,i,1]
  const other = ops.unsqueeze(ids.teacher, 1); // [n,1,j]
  const tied = ops.logicalAnd(ops.equal(other, own), notBefore);
  const behind = ops.logicalAnd(
    ops.logicalOr(ops.less(other, own), tied),
    ops.unsqueeze(ids.valid, 1),
  );
  const left = ops.where(behind, ops.unsqueeze(ids.student, 1), ops.scalar(-1e30));
  const choice = ops.sub(ops.logSumExp(left, 2), ids.student); // [n,m]
  return ops.reduceSum(ops.where(ids.valid, choice, ops.scalar(0)), { axes: [1] });
}

/** KL(p‖q), both renormalised on the union. */
function listwise<T extends Tensor>(ops: TensorOps<T>, ids: AgreedIds<T>, valid: T): T {
  const law = (x: T): T => ops.logSoftmax(ops.where(ids.valid, x, ops.scalar(-1e30)), 1);
  const [logP, logQ] = [law(ids.teacher), law(ids.student)];
  const gap = ops.where(ids.valid, ops.sub(logP, logQ), ops.scalar(0));
  return ops.reduceSum(ops.mul(valid, ops.mul(ops.exp(logP), gap)), { axes: [1] });
}
