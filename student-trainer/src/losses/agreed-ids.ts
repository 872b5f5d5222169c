import { invariant } from "@tandem/shared/errors/invariant.js";
import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import { isImpossible } from "./centred-logits.js";
import type { LossInputs } from "./loss-definition.js";

export interface AgreedIdsOptions {
  /** Ids per side; V if it is less. */
  readonly k: number;
  /** Both lists from all V logits, the student's as it is now; otherwise the signal's `top` and `at`, the student's as it was when the
   * position was written. */
  readonly dense: boolean;
}

/** The union of the teacher's and the student's k best ids of each position, m = 2k columns, the teacher's first. */
export interface AgreedIds<T> {
  /** f32 [n,m]: both sides' raw logits; the teacher's are 0 where not valid. */
  readonly teacher: T;
  readonly student: T;
  /** bool [n,m]: false for an id that both lists hold, at its second place, and where the teacher's logit is −∞. */
  readonly valid: T;
  /** f32 [n]: |both lists' intersection| / k. */
  readonly overlap: T;
}

/** Source: Peng & Zhang 2024 (RLKD, arXiv 2409.12545); the union is per position, which the release only approximates. */
export function agreedIds<T extends Tensor>(
  ops: TensorOps<T>,
  inputs: LossInputs<T>,
  { k, dense }: AgreedIdsOptions,
): AgreedIds<T> {
  const size = Math.min(k, inputs.logits.shape[1] as number);
  const lists = dense ? denseLists(ops, inputs, size) : sentLists(ops, inputs, size);
  const { teacherIds, studentIds } = lists;
  const same = ops.equal(ops.unsqueeze(studentIds, 2), ops.unsqueeze(teacherIds, 1)); // [n,k,k]
  const repeated = ops.reduceMax(ops.cast(same, "f32"), { axes: [2] }); // [n,k]
  const impossible = isImpossible(ops, lists.teacher); // [n,m]
  const first = ops.sub(ops.scalar(1), repeated);
  const all = ops.add(ops.mul(first, ops.scalar(0)), ops.scalar(1));
  const fresh = ops.greater(ops.concat([all, first], 1), ops.scalar(0.5));
  return {
    teacher: ops.where(impossible, ops.scalar(0), lists.teacher),
    student: ops.takeAlongAxis(inputs.logits, ops.concat([teacherIds, studentIds], 1), 1),
    valid: ops.logicalAnd(fresh, ops.logicalNot(impossible)),
    overlap: ops.reduceMean(repeated, { axes: [1] }),
  };
}

interface IdLists<T> {
  /** i64 [n,k]. */
  readonly teacherIds: T;
  readonly studentIds: T;
  /** f32 [n,2k]: the teacher's logits at both. */
  readonly teacher: T;
}

function denseLists<T extends Tensor>(
  ops: TensorOps<T>,
  { logits, teacher: { dense } }: LossInputs<T>,
  size: number,
): IdLists<T> {
  invariant(dense !== undefined, "a dense loss is given dense teacher logits");
  const teacherIds = ops.topK(dense, size, 1).indices;
  const studentIds = ops.topK(ops.stopGradient(logits), size, 1).indices;
  const ids = ops.concat([teacherIds, studentIds], 1);
  return { teacherIds, studentIds, teacher: ops.takeAlongAxis(dense, ids, 1) };
}

function sentLists<T extends Tensor>(
  ops: TensorOps<T>,
  { teacher: { top, at } }: LossInputs<T>,
  size: number,
): IdLists<T> {
  invariant(top !== undefined && at !== undefined, "the teacher's and the student's lists");
  const first = (x: T): T => ops.slice(x, 1, 0, size);
  return {
    teacherIds: first(top.ids),
    studentIds: first(at.ids),
    teacher: ops.concat([first(top.logits), first(at.logits)], 1),
  };
}
