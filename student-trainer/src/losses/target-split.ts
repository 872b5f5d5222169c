import { invariant } from "@tandem/shared/errors/invariant.js";
import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import { lawsOf, type AtomLaws } from "./atoms.js";
import type { LossInputs } from "./loss-definition.js";

/** The logarithm of nothing, finite so that differences of it exist. */
const NOTHING = -1e31;
/** A smaller part of the bucket's mass is rounding of a difference. */
const MEASURABLE = 1e-6;

/** Both laws split at the target g, at temperature 1. */
export interface TargetSplit<T> {
  /** [n,2]: g, and everything else. */
  readonly binary: AtomLaws<T>;
  /** [n,A]: the laws of everything else, each renormalised. */
  readonly others: AtomLaws<T>;
  /** bool [n]: the teacher has no mass outside g, so its law of the others is undefined. */
  readonly certain: T;
}

/** Splits over all ids (dense signal), or over the teacher's list and its bucket. Needs `token` and `lse` too. */
export function splitAtTarget<T extends Tensor>(
  ops: TensorOps<T>,
  inputs: LossInputs<T>,
  dense: boolean,
): TargetSplit<T> {
  const { logits, targets, teacher } = inputs;
  const { token, lse } = teacher;
  invariant(token !== undefined && lse !== undefined, "the teacher's probability of the token");
  const target = ops.unsqueeze(targets, 1); // [n,1]
  const logPg = ops.sub(token.logit, lse); // [n]
  const others = dense
    ? denseOthers(ops, inputs, target)
    : listedOthers(ops, inputs, { target, logPg });
  const chosen = ops.takeAlongAxis(logits, target, 1); // [n,1]
  const rest = (x: T): T => ops.unsqueeze(ops.logSumExp(x, 1), 1); // [n,1]
  const heaviest = ops.reduceMax(others.u, { axes: [1] });
  return {
    binary: lawsOf(ops, {
      u: ops.concat([ops.unsqueeze(logPg, 1), rest(others.u)], 1),
      v: ops.concat([chosen, rest(others.v)], 1),
    }),
    others: lawsOf(ops, others),
    certain: ops.less(heaviest, ops.scalar(NOTHING / 10)),
  };
}

interface Others<T> {
  readonly u: T;
  readonly v: T;
}

/** The teacher's log-probabilities and the student's logits over all V ids, g's replaced by nothing. */
function denseOthers<T extends Tensor>(
  ops: TensorOps<T>,
  { logits, teacher }: LossInputs<T>,
  target: T,
): Others<T> {
  invariant(teacher.dense !== undefined, "a dense loss is given dense teacher logits");
  const hole = ops.broadcastTo(ops.scalar(NOTHING), ops.cast(target, "f32"));
  invariant(teacher.lse !== undefined, "dense logits come with their normaliser");
  const logP = ops.sub(teacher.dense, ops.unsqueeze(teacher.lse, 1));
  const u = ops.maximum(logP, ops.scalar(NOTHING));
  return {
    u: ops.scatterAlongAxis(u, target, hole, 1, "none"),
    v: ops.scatterAlongAxis(logits, target, hole, 1, "none"),
  };
}

/** The teacher's log-probabilities and the student's logits over the list and the bucket, g taken out of the one that holds it. */
function listedOthers<T extends Tensor>(
  ops: TensorOps<T>,
  { logits, teacher: { top } }: LossInputs<T>,
  { target, logPg }: { readonly target: T; readonly logPg: T },
): Others<T> {
  invariant(top !== undefined, "the loss is given the teacher's top list");
  const nothing = ops.scalar(NOTHING);
  const isTarget = ops.equal(top.ids, target); // [n,k]
  const logP = ops.maximum(ops.sub(top.logits, ops.unsqueeze(top.lse, 1)), nothing);
  const kept = ops.takeAlongAxis(logits, top.ids, 1); // [n,k]
  const listed = {
    u: ops.where(isTarget, nothing, logP),
    v: ops.where(isTarget, nothing, kept),
  };
  if (top.ids.shape[1] === logits.shape[1]) return listed;
  const inList = ops.greater(
    ops.reduceMax(ops.cast(isTarget, "f32"), { axes: [1] }),
    ops.scalar(0),
  ); // [n]
  const bucket = ops.maximum(top.logTail, nothing);
  const share = ops.exp(ops.minimum(ops.sub(ops.maximum(logPg, nothing), bucket), ops.scalar(0)));
  const left = ops.sub(ops.scalar(1), share);
  const measurable = ops.greater(left, ops.scalar(MEASURABLE));
  const reduced = ops.add(bucket, ops.log(ops.where(measurable, left, ops.scalar(1))));
  const outside = ops.where(measurable, reduced, nothing);
  const withoutList = ops.scatterAlongAxis(logits, top.ids, fill(ops, nothing, kept), 1, "none");
  const chosen = fill(ops, nothing, ops.cast(target, "f32"));
  const rest = ops.logSumExp(ops.scatterAlongAxis(withoutList, target, chosen, 1, "none"), 1);
  const append = (x: T, last: T): T => ops.concat([x, ops.unsqueeze(last, 1)], 1); // [n,k+1]
  return {
    u: append(listed.u, ops.where(inList, bucket, outside)),
    v: append(listed.v, rest),
  };
}

function fill<T extends Tensor>(ops: TensorOps<T>, value: T, like: T): T {
  return ops.broadcastTo(value, like);
}
