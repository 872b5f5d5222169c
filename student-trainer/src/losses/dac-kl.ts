import { invariant } from "@tandem/shared/errors/invariant.js";
import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import { z } from "zod";
import { atomLaws, bounded, type AtomLaws } from "./atoms.js";
import type { LossDefinition, LossInputs, LossParameter } from "./loss-definition.js";

const options = z.strictObject({
  topK: z
    .int()
    .min(1)
    .default(64)
    .describe("size of the teacher's top list; the rest is one class"),
  features: z
    .int()
    .min(1)
    .default(16)
    .describe("how many of the best classes the network sees: log-probabilities of both sides"),
  hidden: z.int().min(1).default(32).describe("width of the network's one hidden layer"),
  floor: z
    .number()
    .min(0)
    .max(1)
    .default(0.5)
    .describe("part of the teacher's mass that is always kept; 0: the network may keep one class"),
  sharpness: z
    .number()
    .positive()
    .default(0.05)
    .describe("mass over which a bound's edge is smooth for the network's gradient"),
});

type DacOptions = z.output<typeof options>;

/** KL(p̂‖q̂) over the classes that lie, in the teacher's order, between a lower and an upper quantile of its mass, and the token's class;
 * both laws renormalised there. The quantiles come from a small network that sees both laws and is learnt through this loss: classes are
 * kept or not, with a smooth edge for the gradient alone.
 * Source: DAC-KL (arXiv 2407.10068), by its reviews and abstract; network, edges and `floor` are our reading. Learnt through the loss, the
 * network keeps what the student already knows: without a floor, a single class at loss 0. */
export const dacKl: LossDefinition<DacOptions> = {
  name: "dac-kl",
  summary: "forward KL between two quantiles of the teacher's mass, chosen by a learnt network",
  source: "DAC-KL, arXiv 2407.10068 (reviews)",
  options,
  requires: ({ topK, features }) => ({ signal: { topK: Math.max(topK, features) } }),
  parameters: ({ features, hidden }, { vocabulary }) => {
    const inputs = 2 * Math.min(features, vocabulary);
    return {
      "network.0.weight": { shape: [inputs, hidden], initial: { std: 1 / Math.sqrt(inputs) } },
      "network.0.bias": zeros(hidden),
      "network.1.weight": { shape: [hidden, 2], initial: { std: 0 } },
      // Nearly everything is kept at first.
      "network.1.bias": { shape: [2], initial: [-4, 4] },
    };
  },
  perToken: (ops, inputs, chosen) => {
    const laws = atomLaws(ops, inputs, {
      ...chosen,
      dense: false,
      temperature: { kind: "constant", value: 1 },
    });
    const kept = keptClasses(ops, inputs, laws, chosen); // [n,A]
    const p = ops.mul(kept, ops.exp(laws.teacher));
    const q = ops.mul(kept, ops.exp(laws.student));
    const mass = ops.reduceSum(p, { axes: [1] }); // [n]
    const gap = ops.sub(bounded(ops, laws.teacher), laws.student);
    const mean = ops.div(ops.reduceSum(ops.mul(p, gap), { axes: [1] }), mass);
    const own = ops.maximum(ops.reduceSum(q, { axes: [1] }), ops.scalar(SMALLEST_MASS));
    // Σ p̂·(log p̂ − log q̂), both normalisers outside the sum.
    return ops.add(mean, ops.sub(ops.log(own), ops.log(mass)));
  },
};

/** The student's mass on the kept classes is taken to be at least this. */
const SMALLEST_MASS = 1e-30;

/** 1 where a class is kept, 0 elsewhere, f32 [n,A], with the gradient of a smooth edge. */
function keptClasses<T extends Tensor>(
  ops: TensorOps<T>,
  inputs: LossInputs<T>,
  laws: AtomLaws<T>,
  chosen: DacOptions,
): T {
  const one = ops.scalar(1);
  const p = ops.exp(laws.teacher);
  const above = ops.cumsum(p, 1); // mass through the class
  const below = ops.sub(above, p);
  const { lower, upper } = quantiles(ops, inputs, laws, chosen); // [n,1]
  const within = ops.logicalAnd(ops.greaterEqual(above, lower), ops.greaterEqual(upper, below));
  const soften = (x: T) => ops.sigmoid(ops.mul(x, ops.scalar(1 / chosen.sharpness)));
  const smooth = ops.mul(soften(ops.sub(above, lower)), soften(ops.sub(upper, below)));
  const edge = ops.sub(smooth, ops.stopGradient(smooth));
  const token = tokenClass(ops, inputs, laws);
  // The token's class is kept whatever the bounds say.
  const free = ops.sub(one, token);
  return ops.add(token, ops.mul(free, ops.add(ops.cast(within, "f32"), edge)));
}

/** Lower and upper bound of the kept mass, f32 [n,1] each, at least `floor` apart. */
function quantiles<T extends Tensor>(
  ops: TensorOps<T>,
  { parameters }: LossInputs<T>,
  { teacher, student }: AtomLaws<T>,
  { features, floor }: DacOptions,
): { readonly lower: T; readonly upper: T } {
  const need = (name: string): T => {
    const value = parameters[`network.${name}`];
    invariant(value !== undefined, "the loss is given its network");
    return value;
  };
  const count = (need("0.weight").shape[0] as number) / 2;
  invariant(count <= features, "the network sees at most so many classes");
  const seen = (x: T) => ops.slice(ops.maximum(x, ops.scalar(LEAST_FEATURE)), 1, 0, count);
  const x = ops.stopGradient(ops.concat([seen(teacher), seen(student)], 1)); // [n,2m]
  const inner = ops.tanh(ops.add(ops.matmul(x, need("0.weight")), need("0.bias")));
  const out = ops.sigmoid(ops.add(ops.matmul(inner, need("1.weight")), need("1.bias"))); // [n,2]
  const free = ops.scalar(1 - floor);
  const lower = ops.mul(free, ops.slice(out, 1, 0, 1));
  const room = ops.sub(free, lower);
  const width = ops.add(ops.scalar(floor), ops.mul(room, ops.slice(out, 1, 1, 2)));
  return { lower, upper: ops.add(lower, width) };
}

/** Log-probabilities below are seen as this. */
const LEAST_FEATURE = -30;

/** 1 at the class of the token, which is the last one when the list does not hold it. */
function tokenClass<T extends Tensor>(
  ops: TensorOps<T>,
  { targets, teacher }: LossInputs<T>,
  laws: AtomLaws<T>,
): T {
  const listed = ops.cast(ops.equal(teacher.top!.ids, ops.unsqueeze(targets, 1)), "f32"); // [n,k]
  if (laws.teacher.shape[1] === listed.shape[1]) return listed;
  const rest = ops.sub(ops.scalar(1), ops.reduceSum(listed, { axes: [1], keepDims: true }));
  return ops.concat([listed, rest], 1);
}

function zeros(count: number): LossParameter {
  return { shape: [count], initial: Array<number>(count).fill(0) };
}
