import { unreachable } from "@tandem/shared/errors/invariant.js";
import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import { z } from "zod";
import { atomLaws, bounded, total } from "./atoms.js";
import { divergenceOptions, divergenceRequirement } from "./divergence-options.js";
import type { LossDefinition } from "./loss-definition.js";

const options = divergenceOptions.omit({ dense: true }).extend({
  normalise: z
    .enum(["none", "teacher", "both"])
    .default("none")
    .describe(
      "none: p as it is; teacher: p renormalised on the list; both: p and q renormalised on the list",
    ),
  clampAtZero: z
    .boolean()
    .default(false)
    .describe("no value and no gradient below 0, as verl (only `none` can be negative)"),
});

/** Σ_{v ∈ top k} p_v·log(p_v/q_v), what is outside the list left out. For comparison: every form is biased (`none` and `teacher` teach an
 * over-confident q = p/a on the list, a its mass; `both` leaves the rest free). `forward-kl` keeps the rest as a bucket and is not.
 * Source: `none` is verl's `forward_kl_topk`, `teacher` DistillKit's zero tail, `both` TRL's `loss_add_tail=False`. */
export const truncatedForwardKl: LossDefinition<z.output<typeof options>> = {
  name: "truncated-forward-kl",
  summary: "forward KL on the teacher's top list alone (biased)",
  source: "verl, DistillKit, TRL",
  options,
  requires: (chosen) => divergenceRequirement({ ...chosen, dense: false }),
  perToken: (ops, inputs, chosen) => {
    const laws = atomLaws(ops, inputs, { ...chosen, dense: false });
    // Another loss may have asked for a longer list.
    const k = Math.min(chosen.topK, inputs.teacher.top?.ids.shape[1] as number);
    const listed = (x: typeof laws.teacher) => ops.slice(x, 1, 0, k); // [n,k]
    const kept = { logP: listed(laws.teacher), logQ: listed(laws.student) };
    const { logP, logQ } = normalised(ops, kept, chosen.normalise);
    const value = total(ops, ops.mul(ops.exp(logP), ops.sub(bounded(ops, logP), logQ)));
    return chosen.clampAtZero ? ops.relu(value) : value;
  },
};

/** f32 [n,k], not of sum 1. */
interface ListedLaws<T> {
  readonly logP: T;
  readonly logQ: T;
}

function normalised<T extends Tensor>(
  ops: TensorOps<T>,
  { logP, logQ }: ListedLaws<T>,
  how: "none" | "teacher" | "both",
): ListedLaws<T> {
  switch (how) {
    case "none":
      return { logP, logQ };
    case "teacher":
      return { logP: ops.logSoftmax(logP, 1), logQ };
    case "both":
      return { logP: ops.logSoftmax(logP, 1), logQ: ops.logSoftmax(logQ, 1) };
    default:
      return unreachable(how);
  }
}
