import { invariant, unreachable } from "@tandem/shared/errors/invariant.js";
import type { Tensor, TensorOps } from "@tandem/shared/tensor/tensor-ops.js";
import { z } from "zod";
import { atomLaws, bounded, klFromStudent, klFromTeacher, type AtomLaws } from "./atoms.js";
import type { LossDefinition, LossInputs, TeacherTensors } from "./loss-definition.js";

const options = z
  .strictObject({
    topK: z.int().min(1).default(64).describe("size of each teacher's top list"),
    dense: z
      .boolean()
      .default(false)
      .describe("all V logits of each teacher: the mixture itself; small vocabularies only"),
    divergence: z
      .enum(["forward-kl", "reverse-kl"])
      .default("forward-kl")
      .describe("to the mixture; reverse-kl needs `dense`"),
    weights: z
      .union([
        z.enum(["equal", "confidence", "token"]),
        z
          .array(z.number().min(0))
          .refine((weights) => weights.some((weight) => weight > 0), "not all of them may be 0"),
      ])
      .default("equal")
      .describe(
        "of each position: equal; confidence: by falling entropy; token: by the probability of its token; or a number for each teacher",
      ),
    sharpness: z
      .number()
      .min(0)
      .default(1)
      .describe("of confidence and token: 0 is equal, large takes the best teacher alone"),
  })
  .refine(
    ({ divergence, dense }) => divergence === "forward-kl" || dense,
    "reverse-kl to a mixture needs dense: true, since lists of several teachers hold different ids",
  );

type MixtureOptions = z.output<typeof options>;

const PLAIN = { kind: "constant", value: 1 } as const;

/** KL(p̄‖q) or KL(q‖p̄), p̄ = Σ_i w_i·p_i over the teachers, w of each position. With lists Σ_i w_i·KL(p_i‖q), which is KL(p̄‖q) and a
 * constant of the teachers, Σ_i w_i·KL(p_i‖p̄): the same gradient, each teacher with its own list and exact tail.
 * Source: mixtures of teachers (You et al. 2017; confidence-aware weights, arXiv 2201.00007). */
export const teacherMixture: LossDefinition<MixtureOptions> = {
  name: "teacher-mixture",
  summary: "KL to a mixture of several teachers' laws, weighted position by position",
  source: "multi-teacher KD; CA-MKD, arXiv 2201.00007",
  options,
  teachers: "several",
  perTeacher: ({ weights }) =>
    typeof weights === "string" ? undefined : { option: "weights", count: weights.length },
  requires: ({ topK, dense, weights }) => ({
    signal: {
      ...(dense ? { dense: "f32" as const } : { topK }),
      ...(weights === "confidence" && { moments: true }),
      ...(weights === "token" && { token: true, lse: true }),
    },
  }),
  perToken: (ops, inputs, chosen) => {
    const weights = weightsOf(ops, inputs, chosen); // [n,m] or [1,m]
    const weight = (at: number): typeof weights => ops.slice(weights, 1, at, at + 1);
    if (!chosen.dense) {
      const terms = inputs.teachers.map((teacher, at) => {
        const laws = lawsOfTeacher(ops, inputs, teacher, chosen);
        return ops.mul(ops.squeeze(weight(at), 1), klFromTeacher(ops, laws));
      });
      return terms.reduce((sum, term) => ops.add(sum, term));
    }
    const laws = inputs.teachers.map((teacher) => lawsOfTeacher(ops, inputs, teacher, chosen));
    const mixture = laws
      .map((own, at) => ops.mul(weight(at), ops.exp(own.teacher)))
      .reduce((sum, term) => ops.add(sum, term)); // [n,V]
    const mixed = { ...laws[0]!, teacher: ops.log(mixture) };
    return chosen.divergence === "forward-kl"
      ? klFromTeacher(ops, mixed)
      : klFromStudent(ops, mixed);
  },
};

/** A teacher's laws over its own atoms, beside the student's. */
export function lawsOfTeacher<T extends Tensor>(
  ops: TensorOps<T>,
  { logits }: LossInputs<T>,
  teacher: TeacherTensors<T>,
  { topK, dense }: { readonly topK: number; readonly dense: boolean },
): AtomLaws<T> {
  return atomLaws(ops, { logits, teacher }, { topK, dense, temperature: PLAIN });
}

/** Each position's weights of the teachers, which add up to 1. */
function weightsOf<T extends Tensor>(
  ops: TensorOps<T>,
  { teachers }: LossInputs<T>,
  { weights, sharpness }: MixtureOptions,
): T {
  if (typeof weights !== "string") return ops.constant(normalised(weights), [1, teachers.length]);
  const scores = teachers.map((teacher) => {
    switch (weights) {
      case "equal":
        return undefined;
      case "confidence":
        invariant(teacher.moments !== undefined, "the loss is given each teacher's entropy");
        return ops.neg(teacher.moments.entropy);
      case "token": {
        const { token, lse } = teacher;
        invariant(token !== undefined && lse !== undefined, "the loss is given the token's logit");
        return bounded(ops, ops.sub(token.logit, lse));
      }
      default:
        return unreachable(weights);
    }
  });
  const known = scores.filter((score) => score !== undefined);
  if (known.length === 0) {
    const equal = teachers.map(() => 1);
    return ops.constant(normalised(equal), [1, teachers.length]);
  }
  const columns = known.map((score) => ops.unsqueeze(score, 1));
  return ops.softmax(ops.mul(ops.concat(columns, 1), ops.scalar(sharpness)), 1);
}

function normalised(weights: readonly number[]): number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}
