import { invariant } from "@tandem/shared/errors/invariant.js";
import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import { z } from "zod";
import { bounded } from "./atoms.js";
import type { LossDefinition, LossInputs } from "./loss-definition.js";
import { logSigmoid } from "./log-sigmoid.js";
import { preferencePairs } from "./preference-pairs.js";
import { tokenLogProbability } from "./token-log-probability.js";
import { atLogProbs, topLogProbs } from "./top-log-probs.js";

const options = z.strictObject({
  level: z
    .enum(["token", "sequence"])
    .default("token")
    .describe(
      "token: the release, at every position; sequence: the paper, another's response to a prompt against the student's (rollout: pairs)",
    ),
  beta: z.number().positive().default(0.1).describe("scale of the preference"),
  dense: z
    .boolean()
    .default(false)
    .describe(
      "take the student's best id now, out of all V teacher logits, instead of the one it had when the position was written",
    ),
});

/** −log σ(β·[log q(a)/p(a) − log q(b)/p(b)]), a the teacher's best id, b the student's; log 2 without a gradient where they agree.
 * Level `sequence`: −log σ(β·[r(a) − r(b)]), a another's response to a prompt, b the student's, r the mean of log q/p over its tokens.
 * Source: Li et al. 2024 (DPKD, arXiv 2406.19774): the paper prefers responses, the release tokens. */
export const dpkd: LossDefinition<z.output<typeof options>> = {
  name: "dpkd",
  summary: "prefers the teacher's best token, or its response, to the student's",
  source: "DPKD, arXiv 2406.19774, and its release",
  options,
  requires: ({ level, dense }) => {
    if (level === "sequence")
      return { signal: { token: true, lse: true, logProbs: true }, text: "pairs" };
    if (dense) return { signal: { dense: "f32" } };
    return { signal: { topK: 1, logProbs: true }, studentTopK: 1 };
  },
  needsProbe: ({ level }) => level === "sequence",
  probe: tokenLogProbability,
  columns: {
    names: ({ level }) => (level === "sequence" ? ["slope", "value"] : []),
    compute: (positions, { level, beta }) =>
      level === "sequence" ? preferencePairs(positions, beta) : [],
  },
  perToken: (ops, inputs, { level, beta, dense }) => {
    if (level === "sequence") {
      const { slope, value } = inputs.columns;
      invariant(slope !== undefined && value !== undefined, "the loss is given its columns");
      const logQ = tokenLogProbability(ops, inputs);
      const nothing = ops.sub(logQ, ops.stopGradient(logQ)); // 0, with the gradient of log q
      return ops.add(value, ops.mul(slope, nothing));
    }
    const pair = dense ? denseBest(ops, inputs) : sentBest(ops, inputs);
    const v = (ids: T): T => ops.takeAlongAxis(inputs.logits, ids, 1); // [n,1]
    type T = typeof pair.teacherId;
    const student = ops.sub(v(pair.teacherId), v(pair.studentId));
    const margin = ops.squeeze(ops.sub(student, pair.teacherMargin), 1); // [n]
    return ops.neg(logSigmoid(ops, ops.mul(margin, ops.scalar(beta))));
  },
};

interface BestPair<T> {
  /** i64 [n,1] each. */
  readonly teacherId: T;
  readonly studentId: T;
  /** f32 [n,1]: log p(a) − log p(b). */
  readonly teacherMargin: T;
}

function denseBest<T extends Tensor>(ops: TensorOps<T>, inputs: LossInputs<T>): BestPair<T> {
  const { dense } = inputs.teacher;
  invariant(dense !== undefined, "a dense loss is given dense teacher logits");
  const logP = bounded(ops, ops.logSoftmax(dense, 1));
  const teacherId = ops.unsqueeze(ops.argmax(logP, 1), 1);
  const studentId = ops.unsqueeze(ops.argmax(inputs.logits, 1), 1);
  const at = (ids: T): T => ops.takeAlongAxis(logP, ids, 1);
  return { teacherId, studentId, teacherMargin: ops.sub(at(teacherId), at(studentId)) };
}

function sentBest<T extends Tensor>(ops: TensorOps<T>, { teacher }: LossInputs<T>): BestPair<T> {
  const best = topLogProbs(ops, teacher);
  const { ids } = teacher.at ?? {};
  invariant(
    best.ids !== undefined && ids !== undefined,
    "the teacher's and the student's best ids",
  );
  const first = (x: T): T => ops.slice(x, 1, 0, 1);
  const logP = (values: T): T => bounded(ops, first(values)); // [n,1]
  return {
    teacherId: first(best.ids),
    studentId: first(ids),
    teacherMargin: ops.sub(logP(best.values), logP(atLogProbs(ops, teacher))),
  };
}
