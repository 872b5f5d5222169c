import { invariant } from "@tandem/shared/errors/invariant.js";
import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import { z } from "zod";
import type { LossDefinition } from "./loss-definition.js";
import { scheduleSchema } from "./schedule.js";
import { temperedKl } from "./tempered-kl.js";

const options = z.strictObject({
  minimum: z.number().positive().default(1).describe("the temperature as θ → −∞"),
  range: z.number().positive().default(20).describe("how far above it the temperature can go"),
  initial: z.number().default(1).describe("θ at the start; 1 gives a temperature of 15.6"),
  reversal: scheduleSchema
    .default({ kind: "cosine", from: 0, to: -1, start: 0, end: 10 / 240 })
    .describe("λ, multiplies θ's gradient: negative means that θ makes the loss larger"),
});

/** T²·KL(softmax(u/T) ‖ softmax(v/T)), T = minimum + range·σ(θ); θ is learnt by the same optimizer with its gradient times λ, against the
 * student where λ < 0.
 * Source: Li et al. 2023 (CTKD, arXiv 2211.16231), global temperature, and its release, which adds 0.1·CE to 0.9 times this. */
export const ctkd: LossDefinition<z.output<typeof options>> = {
  name: "ctkd",
  summary: "forward KL at a temperature that is learnt against the student",
  source: "CTKD, arXiv 2211.16231",
  options,
  // The temperature is known only when the step begins, too late to ask for its normaliser.
  requires: ({ reversal }) => ({ signal: { dense: "f32" }, scalars: { reversal } }),
  parameters: ({ initial }) => ({ theta: { shape: [1], initial: [initial] } }),
  perToken: (ops, { logits, teacher, scalars, parameters }, { minimum, range }) => {
    const { reversal } = scalars;
    const { theta } = parameters;
    invariant(
      teacher.dense !== undefined && reversal !== undefined && theta !== undefined,
      "the loss is given dense teacher logits, its schedule and its parameter",
    );
    const level = ops.sigmoid(scaleGradient(ops, theta, reversal));
    const column = ops.slice(logits, 1, 0, 1); // [n,1]
    const temperature = ops.broadcastTo(
      ops.add(ops.scalar(minimum), ops.mul(ops.scalar(range), level)),
      column,
    );
    const sides = { u: teacher.dense, v: logits };
    const pair = { teacher: temperature, student: temperature };
    const value = temperedKl(ops, sides, pair, { byTemperatures: true });
    return ops.mul(ops.squeeze(ops.mul(temperature, temperature), 1), value);
  },
};

/** x, with its gradient times a factor. */
function scaleGradient<T extends Tensor>(ops: TensorOps<T>, x: T, factor: T): T {
  const constant = ops.stopGradient(x);
  return ops.add(constant, ops.mul(factor, ops.sub(x, constant)));
}
