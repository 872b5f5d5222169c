import { invariant } from "@tandem/shared/errors/invariant.js";
import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import { z } from "zod";
import { agreedIds, type AgreedIds } from "./agreed-ids.js";
import type { LossDefinition, LossInputs } from "./loss-definition.js";
import { rankAgreement } from "./rank-agreement.js";

const options = z.strictObject({
  k: z
    .int()
    .min(2)
    .max(32)
    .default(8)
    .describe("length of the teacher's and of the student's list"),
  dense: z
    .boolean()
    .default(false)
    .describe("lists from all V teacher logits and the student as it is now"),
  strength: z
    .number()
    .positive()
    .default(0.5)
    .describe("of the soft ranks, in standard deviations of the union's logits"),
});

/** h·(1 − ρ_Spearman) + (1−h)·(1 − ρ_Pearson) over the union of both top lists, logits standardised; h = H(p)/log V, the teacher's
 * uncertainty: where it is unsure its order is taught, where it is sure its values.
 * Source: CMKD (arXiv 2410.06561), abstract and notes: both correlations, weighted for each sample by its difficulty. The weight is our
 * reading. */
export const cmkd: LossDefinition<z.output<typeof options>> = {
  name: "cmkd",
  summary:
    "Pearson and Spearman correlation of the top logits, weighted by the teacher's uncertainty",
  source: "CMKD, arXiv 2410.06561 (abstract)",
  options,
  requires: ({ k, dense }) =>
    dense
      ? { signal: { dense: "f32", moments: true }, ranks: k }
      : { signal: { topK: k, moments: true }, studentTopK: k },
  perToken: (ops, inputs, chosen) => {
    const ids = agreedIds(ops, inputs, chosen);
    const valid = ops.cast(ids.valid, "f32");
    const standard: AgreedIds<typeof valid> = {
      ...ids,
      teacher: standardised(ops, ids.teacher, valid),
      student: standardised(ops, ids.student, valid),
    };
    const shared = { ...chosen, values: "logits" as const };
    const order = rankAgreement(ops, standard, { ...shared, operator: "soft-rank" });
    const values = rankAgreement(ops, standard, { ...shared, operator: "pearson" });
    const h = uncertainty(ops, inputs);
    return ops.add(ops.mul(h, order), ops.mul(ops.sub(ops.scalar(1), h), values));
  },
};

/** H(p)/log V, f32 [n], 0 … 1. */
function uncertainty<T extends Tensor>(ops: TensorOps<T>, { logits, teacher }: LossInputs<T>): T {
  const { moments } = teacher;
  invariant(moments !== undefined, "the loss is given the teacher's entropy");
  const share = ops.mul(moments.entropy, ops.scalar(1 / Math.log(logits.shape[1] as number)));
  return ops.minimum(ops.maximum(share, ops.scalar(0)), ops.scalar(1));
}

/** Over the valid columns: mean 0, variance 1; 0 where all are equal. */
function standardised<T extends Tensor>(ops: TensorOps<T>, x: T, valid: T): T {
  const count = ops.maximum(sum(ops, valid), ops.scalar(1)); // [n,1]
  const mean = ops.div(sum(ops, ops.mul(x, valid)), count);
  const centred = ops.mul(ops.sub(x, mean), valid);
  const variance = ops.div(sum(ops, ops.mul(centred, centred)), count);
  return ops.div(centred, ops.sqrt(ops.add(variance, ops.scalar(1e-6))));
}

function sum<T extends Tensor>(ops: TensorOps<T>, x: T): T {
  return ops.reduceSum(x, { axes: [1], keepDims: true });
}
