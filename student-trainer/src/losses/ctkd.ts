import { invariant } from "@tandem/shared/errors/invariant.js";
import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import { z } from "zod";
import { bounded } from "./atoms.js";
import type { LossDefinition, LossInputs } from "./loss-definition.js";
import { scheduleSchema } from "./schedule.js";
import { temperedKl } from "./tempered-kl.js";

const options = z.strictObject({
  minimum: z.number().positive().default(1).describe("the temperature as θ → −∞"),
  range: z.number().positive().default(20).describe("how far above it the temperature can go"),
  initial: z.number().default(1).describe("θ at the start; 1 gives a temperature of 15.6"),
  reversal: scheduleSchema
    .default({ kind: "cosine", from: 0, to: -1, start: 0, end: 10 / 240 })
    .describe("λ, multiplies θ's gradient: negative means that θ makes the loss larger"),
  instance: z
    .boolean()
    .default(false)
    .describe(
      "θ of each position, by a small network on both sides' entropies and largest probabilities",
    ),
  hidden: z.int().min(1).default(16).describe("width of that network"),
});

/** T²·KL(softmax(u/T) ‖ softmax(v/T)), T = minimum + range·σ(θ); θ is learnt by the same optimizer with its gradient times λ, against the
 * student where λ < 0. With `instance` a network adds to θ at each position.
 * Source: Li et al. 2023 (CTKD, arXiv 2211.16231), global temperature and, in our reading, that of each instance, and its release, which adds 0.1·CE to 0.9 times this. */
export const ctkd: LossDefinition<z.output<typeof options>> = {
  name: "ctkd",
  summary: "forward KL at a temperature that is learnt against the student",
  source: "CTKD, arXiv 2211.16231",
  options,
  readWith: { hidden: { option: "instance", values: [true] } },
  // The temperature is known only when the step begins, too late to ask for its normaliser.
  requires: ({ reversal }) => ({ signal: { dense: "f32" }, scalars: { reversal } }),
  parameters: ({ initial, instance, hidden }) => ({
    theta: { shape: [1], initial: [initial] },
    ...(instance && {
      // With zeros behind it every position begins with θ.
      "network.0.weight": { shape: [FEATURES, hidden], initial: { std: 1 / Math.sqrt(FEATURES) } },
      "network.0.bias": { shape: [hidden], initial: Array<number>(hidden).fill(0) },
      "network.1.weight": { shape: [hidden, 1], initial: Array<number>(hidden).fill(0) },
    }),
  }),
  measures: {
    names: ["temperature"],
    compute: (ops, inputs, chosen) => [ops.squeeze(temperatures(ops, inputs, chosen), 1)],
  },
  perToken: (ops, inputs, chosen) => {
    const { logits, teacher } = inputs;
    invariant(teacher.dense !== undefined, "a dense loss is given dense teacher logits");
    const temperature = temperatures(ops, inputs, chosen);
    const sides = { u: teacher.dense, v: logits };
    const pair = { teacher: temperature, student: temperature };
    const value = temperedKl(ops, sides, pair, { byTemperatures: true });
    return ops.mul(ops.squeeze(ops.mul(temperature, temperature), 1), value);
  },
};

/** T of each position, f32 [n,1]. */
function temperatures<T extends Tensor>(
  ops: TensorOps<T>,
  inputs: LossInputs<T>,
  { minimum, range, instance }: z.output<typeof options>,
): T {
  const { logits, scalars, parameters } = inputs;
  const { reversal } = scalars;
  invariant(
    reversal !== undefined && parameters["theta"] !== undefined,
    "the loss is given its schedule and its parameter",
  );
  const own = instance ? ownOffset(ops, inputs) : undefined; // [n,1]
  const theta = own === undefined ? parameters["theta"] : ops.add(parameters["theta"], own);
  const level = ops.sigmoid(scaleGradient(ops, theta, reversal));
  const column = ops.slice(logits, 1, 0, 1); // [n,1]
  return ops.broadcastTo(ops.add(ops.scalar(minimum), ops.mul(ops.scalar(range), level)), column);
}

/** Of a position: what the network sees. */
const FEATURES = 4;

/** What a position adds to θ, f32 [n,1]. The features are constants. */
function ownOffset<T extends Tensor>(
  ops: TensorOps<T>,
  { logits, teacher, parameters }: LossInputs<T>,
): T {
  const weight = (name: string): T => {
    const values = parameters[`network.${name}`];
    invariant(values !== undefined, "the loss is given its network");
    return values;
  };
  const unit = ops.scalar(1 / Math.log(logits.shape[1] as number));
  const features = [teacher.dense!, ops.stopGradient(logits)].flatMap((x) => {
    const logP = ops.logSoftmax(x, 1);
    const terms = ops.mul(ops.exp(logP), bounded(ops, logP));
    const entropy = ops.neg(ops.mul(ops.reduceSum(terms, { axes: [1], keepDims: true }), unit));
    return [entropy, ops.exp(ops.reduceMax(logP, { axes: [1], keepDims: true }))];
  });
  const seen = ops.matmul(ops.concat(features, 1), weight("0.weight")); // [n,hidden]
  return ops.matmul(ops.tanh(ops.add(seen, weight("0.bias"))), weight("1.weight"));
}

/** x, with its gradient times a factor. */
function scaleGradient<T extends Tensor>(ops: TensorOps<T>, x: T, factor: T): T {
  const constant = ops.stopGradient(x);
  return ops.add(constant, ops.mul(factor, ops.sub(x, constant)));
}
