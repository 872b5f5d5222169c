import { invariant } from "@tandem/shared/errors/invariant.js";
import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import type { TeacherTensors, TopLogProbs } from "./loss-definition.js";

/** The teacher's list as log-probabilities, in whichever form it came: losses that ask for the short one (`logProbs`) get the long one where another loss
 * of the run needs that. */
export function topLogProbs<T extends Tensor>(
  ops: TensorOps<T>,
  { top, topLogProbs: short }: TeacherTensors<T>,
): TopLogProbs<T> {
  if (short !== undefined) return short;
  invariant(top !== undefined, "the loss is given the teacher's top list");
  return { ids: top.ids, values: ops.sub(top.logits, ops.unsqueeze(top.lse, 1)) };
}

/** The teacher's logits f32 [n,a] at the student's ids as log-probabilities, likewise. */
export function atLogProbs<T extends Tensor>(ops: TensorOps<T>, { at, lse }: TeacherTensors<T>): T {
  invariant(at !== undefined, "the loss is given the teacher's logits at the student's ids");
  return lse === undefined ? at.logits : ops.sub(at.logits, ops.unsqueeze(lse, 1));
}

/** The teacher's log-probability f32 [n] of the token at the position, likewise. */
export function tokenLogProbs<T extends Tensor>(
  ops: TensorOps<T>,
  { token, lse }: TeacherTensors<T>,
): T {
  invariant(token !== undefined, "the loss is given the teacher's logit of the token");
  return lse === undefined ? token.logit : ops.sub(token.logit, lse);
}
