import { invariant, unreachable } from "@tandem/shared/errors/invariant.js";
import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import { z } from "zod";
import { klFromTeacher } from "./atoms.js";
import { centredLogits } from "./centred-logits.js";
import { equalSharpness, type TemperaturePair } from "./equal-sharpness.js";
import type { LossDefinition } from "./loss-definition.js";

const options = z
  .strictObject({
    mode: z
      .enum(["released", "detached", "solved"])
      .default("detached")
      .describe(
        "released: T = 2x/(x+y)·τ with gradient through the student's y; detached: without; solved: equal sharpness by bisection, without",
      ),
    temperature: z.number().positive().default(4).describe("τ, the mean of both temperatures"),
    alpha: z.number().min(0).default(3).describe("weight of the term with dynamic temperatures"),
    beta: z.number().min(0).default(1).describe("weight of the term with τ on both sides"),
    centred: z
      .boolean()
      .default(true)
      .describe(
        "subtract each side's mean logit first; without, the temperatures depend on the heads' arbitrary offsets",
      ),
    floor: z
      .number()
      .positive()
      .lt(1)
      .default(0.25)
      .describe("no temperature goes below floor·τ; where it would, both no longer add up to 2τ"),
  })
  .refine(({ mode, centred }) => mode !== "solved" || centred, {
    path: ["centred"],
    message: "solved compares centred logits; leave centred at true",
  });

/** α·T_t·T_s·KL(softmax(u/T_t) ‖ softmax(v/T_s)) + β·τ²·KL(softmax(u/τ) ‖ softmax(v/τ)); T_t = 2x/(x+y)·τ, T_s = 2y/(x+y)·τ,
 * x = max u, y = max v: the sharper side gets the higher temperature. T_t = T_s = τ where both sides are uniform.
 * `solved` takes τ ± δ with equal sharpness instead (`equalSharpness`).
 * Source: Wei & Bai 2024 (DTKD, arXiv 2404.12711) and its release. By the authors' erratum the closed form is not the minimiser of the
 * stated bound, but a heuristic; it was not validated on language models. The paper's warm-up is a schedule of this loss's weight. */
export const dtkd: LossDefinition<z.output<typeof options>> = {
  name: "dtkd",
  summary: "forward KL at temperatures that equalise the sharpness of both sides",
  source: "DTKD, arXiv 2404.12711",
  options,
  requires: () => ({ signal: { dense: "f32" } }),
  perToken: (ops, { logits, teacher }, { mode, temperature, alpha, beta, centred, floor }) => {
    invariant(teacher.dense !== undefined, "a dense loss is given dense teacher logits");
    const offset = centred ? centredLogits(ops, teacher.dense) : teacher.dense;
    // Finite, since there may be a gradient by the temperature.
    const u = ops.maximum(offset, ops.scalar(-1e30));
    const v = centred ? centredLogits(ops, logits) : logits;
    const tau = ops.scalar(temperature);
    const pair = pairOf(ops, { u, v }, { mode, temperature, floor });
    const dynamic = ops.mul(ops.mul(pair.teacher, pair.student), kl(ops, { u, v }, pair));
    const fixed = ops.mul(
      ops.scalar(temperature ** 2),
      kl(ops, { u, v }, { teacher: tau, student: tau }),
    );
    return ops.add(
      ops.squeeze(ops.mul(ops.scalar(alpha), dynamic), 1),
      ops.squeeze(ops.mul(ops.scalar(beta), fixed), 1),
    );
  },
};

interface Logits<T> {
  /** The teacher's and the student's, f32 [n,V]. */
  readonly u: T;
  readonly v: T;
}

interface PairOptions {
  readonly mode: "released" | "detached" | "solved";
  readonly temperature: number;
  readonly floor: number;
}

function pairOf<T extends Tensor>(
  ops: TensorOps<T>,
  { u, v }: Logits<T>,
  { mode, temperature, floor }: PairOptions,
): TemperaturePair<T> {
  switch (mode) {
    case "released":
      return sharedByMaxima(ops, { u, v }, { temperature, floor });
    case "detached":
      return sharedByMaxima(ops, { u, v: ops.stopGradient(v) }, { temperature, floor });
    case "solved":
      return equalSharpness(ops, { u, v: ops.stopGradient(v) }, { temperature, floor });
    default:
      return unreachable(mode);
  }
}

/** 2x/(x+y)·τ and 2y/(x+y)·τ, f32 [n,1]; τ twice where x + y = 0. */
function sharedByMaxima<T extends Tensor>(
  ops: TensorOps<T>,
  { u, v }: Logits<T>,
  { temperature, floor }: Omit<PairOptions, "mode">,
): TemperaturePair<T> {
  const x = ops.reduceMax(u, { axes: [1], keepDims: true });
  const y = ops.reduceMax(v, { axes: [1], keepDims: true });
  const sum = ops.add(x, y);
  const tau = ops.scalar(temperature);
  const flat = ops.less(ops.abs(sum), ops.scalar(1e-6));
  const unit = ops.div(ops.scalar(2 * temperature), ops.where(flat, ops.scalar(1), sum));
  const lowest = ops.scalar(floor * temperature);
  const temperatureOf = (maximum: T): T =>
    ops.maximum(ops.where(flat, tau, ops.mul(maximum, unit)), lowest);
  return { teacher: temperatureOf(x), student: temperatureOf(y) };
}

/** KL(softmax(u/T_t) ‖ softmax(v/T_s)), f32 [n,1]. */
function kl<T extends Tensor>(
  ops: TensorOps<T>,
  { u, v }: Logits<T>,
  { teacher, student }: TemperaturePair<T>,
): T {
  const laws = {
    teacher: ops.logSoftmax(ops.div(u, teacher), 1),
    student: ops.logSoftmax(ops.div(v, student), 1),
  };
  return ops.unsqueeze(klFromTeacher(ops, laws), 1);
}
